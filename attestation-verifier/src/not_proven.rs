//! What a verdict does not prove: fixed codes, each with one sentence (docs/WIRE.md).

macro_rules! registry {
    ($($variant:ident $code:literal $sentence:literal)*) => {
        /// Something a verdict does not prove. The order is the one in which verdicts list them.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum NotProven {
            $(#[doc = $sentence] $variant,)*
        }

        impl NotProven {
            /// The whole registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code, as it stands in a verdict.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }
        }
    };
}

registry! {
    CodeUnknown "code-unknown" "No quote or no release list says which code runs behind this measurement."
    CodeHostVouched "code-host-vouched" "Which code runs is vouched for by the host's virtual TPM only."
    CodeVendorParavisor "code-vendor-paravisor" "Which code runs is vouched for by the cloud vendor's paravisor, whose source we have not rebuilt."
    MilanSeed "milan-seed" "The root seed of Milan chips can be read by software: whoever held such a host can forge reports of any firmware level."
    PhysicalInterposer "physical-interposer" "A device between processor and memory can read and replay memory; no report shows it."
    ChipMasked "chip-masked" "The report names no chip: it may come from any chip whose key signed it."
    NoNonce "no-nonce" "No expectation of REPORT_DATA was given: the evidence may be old, or made for somebody else."
    ChannelUnbound "channel-unbound" "Nothing says that the other end of your connection is this guest."
    NoChallenge "no-challenge" "The call is not known to have carried a challenge of yours: the proof may be older than your question."
    TimeHostClock "time-host-clock" "Times come from a clock that the host sets."
    NotLogged "not-logged" "Nothing shows that this was entered in a public log."
    NotWitnessed "not-witnessed" "No independent witness has cosigned: a forked or rewound log would not show."
    HmacNotRevealed "hmac-not-revealed" "The key of the HMAC is not revealed yet: only its public twin, the Ed25519 signature, was checked."
    ReleaseAuthority "release-authority" "The holders of the release keys can let other code unseal the same keys."
    RecoveryEscrow "recovery-escrow" "The holder of the recovery key can restore the sealed keys elsewhere."
    EnvMaster "env-master" "The call used stored secrets, and their master key may be wrapped by GATEWAY_SECRET_KEY, which the operator knows."
    RuntimeCompromise "runtime-compromise" "Code is measured when it is loaded: an attack on it while it runs is not seen."
    SharedKernel "shared-kernel" "Containers and gateway share a kernel: a break-out reaches both."
    PackageBehaviour "package-behaviour" "Which package ran is named, not what it does."
    ToolTruth "tool-truth" "The answer is what the tool said; whether it is right is not shown."
    RemoteServices "remote-services" "Services that the tool asked over the network are not covered."
    DatabaseFreshness "database-freshness" "An outside database may have served an older row."
    PaymentOnChain "payment-on-chain" "Whether a payment is final on its chain is not checked here."
    HostInterfaces "host-interfaces" "Devices and firmware tables that the host offers the guest are outside the measurement."
    SideChannels "side-channels" "Timing, cache and power side channels of the processor are not excluded."
    Availability "availability" "The host can stop, delay or lose the guest at any time."
    TlsElsewhere "tls-elsewhere" "Nothing says that your connection ended at a TLS key that the attested state names: somebody else may have ended it."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_every_sentence_ends() {
        for (at, entry) in NotProven::ALL.iter().enumerate() {
            assert!(entry.sentence().ends_with('.'), "{entry:?}");
            assert!(NotProven::ALL.iter().skip(at + 1).all(|later| later.code() != entry.code()), "{entry:?}");
        }
        assert_eq!(NotProven::ALL.len(), 27);
    }

    #[test]
    fn the_page_of_threats_has_a_row_for_every_code_and_for_no_other() {
        let page = include_str!("../../docs/THREATS.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let mut listed: Vec<&str> = rows.map(|(code, _)| code).collect();
        let mut known: Vec<&str> = NotProven::ALL.iter().map(|entry| entry.code()).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
