//! The software processor's file: lines of `entry hex`, mode 0600, written whole or not at all.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use p384::ecdsa::SigningKey;
use rsa::{
    RsaPrivateKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use zeroize::Zeroizing;

use crate::{Authority, ChipId, Product, PspError, SoftwarePsp, Tcb, Vek, VekKind, authority::Ca};

const HEAD: &str = "sealgate software-psp 1";

/// Where it is kept.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("software-psp")
}

pub(crate) fn refuse_existing(dir: &Path) -> Result<(), PspError> {
    let path = path(dir);
    if path.exists() {
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(PspError::File { doing: "create", path, source });
    }
    Ok(())
}

pub(crate) fn write(dir: &Path, psp: &SoftwarePsp) -> Result<(), PspError> {
    let path = path(dir);
    let failed = |doing| {
        let path = path.clone();
        move |source| PspError::File { doing, path, source }
    };
    fs::create_dir_all(dir).map_err(failed("create the directory of"))?;
    let text = encode(psp)?;
    let draft = dir.join(format!(".software-psp.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&draft).map_err(failed("write"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    // A link fails where a rename would replace: two that start at once do not overwrite each other.
    let linked = fs::hard_link(&draft, &path).map_err(failed("create"));
    fs::remove_file(&draft).map_err(failed("remove the draft of"))?;
    linked
}

pub(crate) fn read(dir: &Path) -> Result<SoftwarePsp, PspError> {
    let path = path(dir);
    let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|source| PspError::File {
        doing: "read",
        path: path.clone(),
        source,
    })?;
    decode(&text).map_err(|entry| PspError::Damaged { path, entry })
}

fn encode(psp: &SoftwarePsp) -> Result<Zeroizing<String>, PspError> {
    let rsa = |key: &RsaPrivateKey| {
        let der = key.to_pkcs8_der().map_err(|_| PspError::Encoding("RSA private key".into()))?;
        Ok::<_, PspError>(Zeroizing::new(hex::encode(der.as_bytes())))
    };
    let authority = &psp.authority;
    let product = authority.product;
    let mut text = Zeroizing::new(format!("{HEAD}\nproduct {}\n", product.name()));
    let entries: [(&str, Zeroizing<String>); 8] = [
        ("ark-key", rsa(&authority.ark.key)?),
        ("ark", hex::encode(&authority.ark.der).into()),
        ("ask-key", rsa(&authority.ask.key)?),
        ("ask", hex::encode(&authority.ask.der).into()),
        ("vcek-key", hex::encode(psp.vcek.key().to_bytes()).into()),
        ("vcek", hex::encode(psp.vcek.der()).into()),
        ("chip-id", hex::encode(psp.chip_id.0).into()),
        ("tcb", hex::encode(psp.tcb.bytes(product)).into()),
    ];
    for (entry, value) in &entries {
        text.push_str(entry);
        text.push(' ');
        text.push_str(value);
        text.push('\n');
    }
    Ok(text)
}

/// Or the entry that is missing, doubled or damaged.
fn decode(text: &str) -> Result<SoftwarePsp, &'static str> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err("head");
    }
    let mut value =
        |entry: &'static str| lines.next().and_then(|line| line.strip_prefix(entry)?.strip_prefix(' ')).ok_or(entry);
    let product: Product = value("product")?.parse().map_err(|()| "product")?;
    let ark_key = rsa_key(value("ark-key")?).ok_or("ark-key")?;
    let ark = hex::decode(value("ark")?).map_err(|_| "ark")?;
    let ask_key = rsa_key(value("ask-key")?).ok_or("ask-key")?;
    let ask = hex::decode(value("ask")?).map_err(|_| "ask")?;
    let vcek_key = hex::decode(value("vcek-key")?).map(Zeroizing::new).map_err(|_| "vcek-key")?;
    let vcek_key = SigningKey::from_slice(&vcek_key).map_err(|_| "vcek-key")?;
    let vcek = hex::decode(value("vcek")?).map_err(|_| "vcek")?;
    let mut chip_id = [0; 64];
    hex::decode_to_slice(value("chip-id")?, &mut chip_id).map_err(|_| "chip-id")?;
    let mut tcb = [0; 8];
    hex::decode_to_slice(value("tcb")?, &mut tcb).map_err(|_| "tcb")?;
    if lines.next().is_some() {
        return Err("end");
    }
    Ok(SoftwarePsp {
        authority: Authority {
            product,
            ark: Ca { key: ark_key, der: ark },
            ask: Ca { key: ask_key, der: ask },
            asvk: None,
        },
        vcek: Vek::new(VekKind::Vcek, vcek_key, vcek),
        chip_id: ChipId(chip_id),
        tcb: Tcb::from_bytes(tcb, product),
    })
}

fn rsa_key(text: &str) -> Option<RsaPrivateKey> {
    let der = Zeroizing::new(hex::decode(text).ok()?);
    RsaPrivateKey::from_pkcs8_der(&der).ok()
}
