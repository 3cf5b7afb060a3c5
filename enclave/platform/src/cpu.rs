//! What the processor says of itself. A hypervisor can show anything, so this decides only which address is asked.

use std::{fs, path::Path};

use attestation_verifier::Product;

/// The product by family and model in `cpuinfo` (`/proc/cpuinfo`); none where it is no SEV-SNP processor we know.
pub(crate) fn product(cpuinfo: &Path) -> Option<Product> {
    let text = fs::read_to_string(cpuinfo).ok()?;
    let number = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.split_once(':')).filter(|(key, _)| key.trim() == name);
        values.next()?.1.trim().parse::<u8>().ok()
    };
    Product::from_cpuid(number("cpu family")?, number("model")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_and_model_name_the_product() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("cpuinfo");
        for (family, model, product) in [
            (25, 1, Some(Product::Milan)),
            (25, 17, Some(Product::Genoa)),
            (25, 160, Some(Product::Genoa)),
            (26, 2, Some(Product::Turin)),
            (6, 143, None),
        ] {
            let text =
                format!("processor\t: 0\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC 9:9\n");
            fs::write(&path, text).expect("written");
            assert_eq!(super::product(&path), product, "family {family} model {model}");
        }
        assert_eq!(super::product(&dir.path().join("none")), None);
    }
}
