//! One machine with a software processor: what the simulated platform talks to.

use std::{path::Path, thread};

use p384::ecdsa::SigningKey;
use rsa::{
    RsaPrivateKey,
    rand_core::{CryptoRngCore, OsRng},
};
use time::OffsetDateTime;

use crate::{
    Authority, ChipId, Intermediate, Product, PspError, REPORT_LENGTH, ReportRequest, Tcb, Vek, VekKind, VekRequest,
    report, store,
};

/// A chip with its chain, kept in one file, so that a restart is the same chip.
pub struct SoftwarePsp {
    pub(crate) authority: Authority,
    pub(crate) vcek: Vek,
    pub(crate) chip_id: ChipId,
    pub(crate) tcb: Tcb,
}

impl SoftwarePsp {
    /// A new chip under a new root.
    ///
    /// # Errors
    /// [`PspError::Encoding`] when a key does not encode.
    pub fn new(authority: Authority, now: OffsetDateTime, rng: &mut impl CryptoRngCore) -> Result<Self, PspError> {
        let product = authority.product;
        let mut random = [0; 64];
        rng.fill_bytes(&mut random);
        let chip_id = ChipId::new(product, random);
        let tcb = Tcb::recent(product);
        let request = VekRequest { kind: VekKind::Vcek, tcb, chip_id, csp_id: String::new(), not_before: now };
        let vcek = authority.endorse(Intermediate::Ask, &request, SigningKey::random(rng), rng)?;
        Ok(Self { authority, vcek, chip_id, tcb })
    }

    /// Makes a root and a chip, and keeps both in `dir/software-psp`, mode 0600. Never replaces one that is there. Two
    /// RSA-4096 keys, one thread each: seconds.
    ///
    /// # Errors
    /// [`PspError::Rsa`] or [`PspError::Encoding`] when a key cannot be made, or [`PspError::File`].
    pub fn create(dir: &Path, product: Product, now: OffsetDateTime) -> Result<Self, PspError> {
        store::refuse_existing(dir)?;
        let (ark, ask) = thread::scope(|scope| {
            let ark = scope.spawn(|| RsaPrivateKey::new(&mut OsRng, 4096));
            let ask = RsaPrivateKey::new(&mut OsRng, 4096);
            (ark.join().unwrap_or(Err(rsa::Error::Internal)), ask)
        });
        let authority = Authority::from_keys(product, ark?, ask?, now, &mut OsRng)?;
        let psp = Self::new(authority, now, &mut OsRng)?;
        store::write(dir, &psp)?;
        Ok(psp)
    }

    /// The one kept in `dir`.
    ///
    /// # Errors
    /// [`PspError::File`] if there is none, [`PspError::Damaged`] if it does not parse.
    pub fn open(dir: &Path) -> Result<Self, PspError> {
        store::read(dir)
    }

    /// Whether `dir` keeps one.
    pub fn exists(dir: &Path) -> bool {
        store::path(dir).exists()
    }

    /// The product it plays.
    pub fn product(&self) -> Product {
        self.authority.product
    }

    /// The chip.
    pub fn chip_id(&self) -> ChipId {
        self.chip_id
    }

    /// Root certificate, DER.
    pub fn ark(&self) -> &[u8] {
        self.authority.ark()
    }

    /// Intermediate certificate, DER.
    pub fn ask(&self) -> &[u8] {
        &self.authority.ask.der
    }

    /// Endorsement certificate, DER.
    pub fn vcek(&self) -> &[u8] {
        self.vcek.der()
    }

    /// The endorsement key as its certificate would be issued on another day: other dates, another signature.
    ///
    /// # Errors
    /// [`PspError::Encoding`] when it does not encode.
    pub fn vcek_issued(&self, not_before: OffsetDateTime, rng: &mut impl CryptoRngCore) -> Result<Vek, PspError> {
        let (tcb, chip_id) = (self.tcb, self.chip_id);
        let request = VekRequest { kind: VekKind::Vcek, tcb, chip_id, csp_id: String::new(), not_before };
        self.authority.endorse(Intermediate::Ask, &request, self.vcek.key().clone(), rng)
    }

    /// The authority, for revocation lists.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What a guest of this chip would ask for, to be changed at will before [`SoftwarePsp::report`].
    pub fn request(&self, version: u32, report_data: [u8; 64]) -> ReportRequest {
        let mut request = ReportRequest::new(self.product(), version, self.chip_id, report_data);
        request.tcb = self.tcb;
        request
    }

    /// The report, signed unless MASK_CHIP_KEY is asked for.
    pub fn report(&self, request: &ReportRequest) -> [u8; REPORT_LENGTH] {
        if request.mask_chip_key { report::unsigned(&request.body()) } else { self.vcek.sign(&request.body()) }
    }
}
