//! What firmware measures of Secure Boot into PCR 7: TCG PC Client Platform Firmware Profile, "PCR[7] - Secure Boot
//! Policy Measurements". Its variables before the separator, then the entry of `db` by which it admits each image.

use crate::{
    efi::{guid::Guid, signature_list::SignatureLists, variable::EfiVariable},
    image::pe::Pe,
    pcr::Bank,
    prediction::Events,
};

/// Secure Boot and its variables; one that is `None` does not exist.
#[derive(Clone, Debug, Default)]
pub struct SecureBoot<'a> {
    /// Does the firmware refuse images that it cannot verify?
    pub on: bool,
    /// Platform key.
    pub pk: Option<SignatureLists<'a>>,
    /// Key exchange keys.
    pub kek: Option<SignatureLists<'a>>,
    /// What may start.
    pub db: Option<SignatureLists<'a>>,
    /// What may not.
    pub dbx: Option<SignatureLists<'a>>,
}

impl SecureBoot<'_> {
    /// PCR 7 after the firmware loaded `image`.
    pub(crate) fn events(&self, bank: Bank, image: &Pe<'_>) -> Events {
        let mut events = Events::new(bank);
        let state: &[u8] = if self.on { &[1] } else { &[0] };
        let state = EfiVariable::encode(Guid::GLOBAL, "SecureBoot", state);
        events.bytes(format!("variable SecureBoot = {}", if self.on { "on" } else { "off" }), &state);
        for (name, vendor, lists) in [
            ("PK", Guid::GLOBAL, &self.pk),
            ("KEK", Guid::GLOBAL, &self.kek),
            ("db", Guid::DATABASE, &self.db),
            ("dbx", Guid::DATABASE, &self.dbx),
        ] {
            let value = lists.as_ref().map(SignatureLists::as_bytes).unwrap_or_default();
            if self.on && name != "dbx" && value.is_empty() {
                events.fail(format!("Secure Boot is on, so the firmware has a variable {name}: give it"));
            }
            let words = lists.as_ref().map_or_else(|| "empty".to_owned(), SignatureLists::words);
            events.bytes(format!("variable {name} = {words}"), &EfiVariable::encode(vendor, name, value));
        }
        events.bytes("separator", &[0; 4]);
        if self.on {
            self.authority(&mut events, image);
        }
        events
    }

    /// The entry of `db` that admits the image. The plain cases only: a certificate of `db` that stands in the image's
    /// signature (the signer's own, or its issuer's), or the hash of the image.
    fn authority(&self, events: &mut Events, image: &Pe<'_>) {
        let Some(db) = &self.db else { return };
        let mut entries = db.certificates_in(image.certificate_table());
        entries.extend(db.lists_hash(image.authenticode(Bank::Sha256).as_bytes()));
        match entries.as_slice() {
            [entry] => {
                let words = SignatureLists::one_entry_words(entry).unwrap_or_else(|| "an entry".into());
                events.bytes(
                    format!("variable db, {words}, which admits the image"),
                    &EfiVariable::encode(Guid::DATABASE, "db", entry),
                );
            }
            [] => events.fail(
                "no certificate of db stands in the image's signature and db does not list its hash: by which entry the \
                 firmware admits it, if at all, is not determined",
            ),
            several => {
                events.fail(format!("{} entries of db admit the image: which the firmware takes first is its own", several.len()))
            }
        }
    }
}
