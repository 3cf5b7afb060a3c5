//! The names clients use for this gateway.

use std::net::IpAddr;

use rustls::pki_types::{DnsName, ServerName};

use super::TlsError;

/// Most names of one certificate, as public authorities take them.
pub(super) const MAX_NAMES: usize = 100;

/// DNS names and IP addresses; at least one.
#[derive(Clone, Debug)]
pub(crate) struct TlsNames(Vec<ServerName<'static>>);

impl TlsNames {
    /// Reads what was configured.
    ///
    /// # Errors
    /// [`TlsError`] with the name that is none.
    pub(crate) fn of(typed: &[String]) -> Result<Self, TlsError> {
        match typed.len() {
            0 => return Err(TlsError::NoNames),
            found if found > MAX_NAMES => return Err(TlsError::TooManyNames { found }),
            _ => {}
        }
        let name = |text: &String| {
            if let Ok(address) = text.parse::<IpAddr>() {
                return Ok(ServerName::IpAddress(address.into()));
            }
            let name = DnsName::try_from(text.to_ascii_lowercase());
            name.map(ServerName::DnsName).map_err(|_| TlsError::Name { found: text.chars().take(128).collect() })
        };
        typed.iter().map(name).collect::<Result<_, _>>().map(Self)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ServerName<'static>> {
        self.0.iter()
    }

    /// As text, in the order of the configuration.
    pub(crate) fn to_texts(&self) -> Vec<String> {
        self.iter().map(|name| name.to_str().into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names_and_addresses_and_nothing_else() {
        let of = |names: &[&str]| TlsNames::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let names = of(&["Gateway.Example", "192.0.2.7", "2001:db8::1", "localhost"]).unwrap();
        assert_eq!(names.to_texts(), ["gateway.example", "192.0.2.7", "2001:db8::1", "localhost"]);
        for wrong in ["", "https://gateway.example", "gateway.example:443", "*.example", "a b", "-a", "ä.example"] {
            assert!(matches!(of(&[wrong]), Err(TlsError::Name { .. })), "{wrong:?}");
        }
        assert_eq!(of(&[]).unwrap_err(), TlsError::NoNames);
        assert!(of(&["a"; MAX_NAMES]).is_ok());
        assert_eq!(of(&["a"; MAX_NAMES + 1]).unwrap_err(), TlsError::TooManyNames { found: MAX_NAMES + 1 });
    }
}
