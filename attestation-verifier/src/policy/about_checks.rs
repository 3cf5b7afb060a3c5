//! What each check of a verdict is about, for people who do not know SEV-SNP.

/// Rows of verdicts and findings, each with what it is about.
const CHECKS: &[(&str, &str)] = &[
    ("form", "Whether the file is a report at all, bare or in one of the wrappers that clouds use."),
    ("bundle", "Whether the file is a bundle as a gateway serves it."),
    ("ark", "AMD's root certificate, compiled in: the end of every chain."),
    ("intermediate", "The certificate between root and chip (ASK), or between root and cloud provider (ASVK)."),
    ("vek", "The certificate of the key that signed the report: a chip's (VCEK) or a provider's (VLEK)."),
    ("chain", "Whether the certificates lead from AMD's root to the key that signed."),
    ("revocation", "Whether AMD has taken the intermediate back, by the lists that were given."),
    ("signature", "Whether that key signed exactly these bytes."),
    ("fields", "Whether every field has a meaning that is known; an unknown bit could mean anything."),
    ("product", "Whether certificate and report name the same processor generation."),
    ("signing-key", "Whether the report was signed by the kind of key that it says."),
    ("tcb", "Whether the certificate is for the firmware levels that the report states."),
    ("chip-id", "Whether the report comes from the chip of the certificate."),
    ("accepted-product", "Whether the policy accepts this processor generation."),
    ("accepted-key", "Whether the policy accepts this kind of key."),
    ("vmpl", "Which privilege level of the guest asked for the report."),
    ("guest-policy", "What the guest's owner allows the host: debugging, migration and the like."),
    ("platform", "How the host's firmware has set the machine up."),
    ("tcb-order", "Whether the firmware levels of the report fit each other."),
    ("committed", "Whether the host can still go back to older firmware."),
    ("min-reported-tcb", "Whether the firmware that signed is new enough."),
    ("min-committed-tcb", "Whether the firmware that the host cannot go below is new enough."),
    ("min-launch-tcb", "Whether the firmware was new enough when the guest was launched."),
    ("min-current-version", "Whether the version of the firmware that runs is high enough."),
    ("min-committed-version", "Whether the version that the host cannot go below is high enough."),
    ("launch-mitigations", "Which mitigations were verified when the guest was launched."),
    ("current-mitigations", "Which mitigations are verified now."),
    ("advisories", "Which known attacks the report does not exclude."),
    ("guest-svn", "The release number of the guest, by its owner."),
    ("measurement", "The launch digest: what was loaded into the guest before it started."),
    ("family-id", "The family of guests that the owner's signature names."),
    ("image-id", "The image that the owner's signature names."),
    ("id-key", "Who signed the launch digest."),
    ("author-key", "Who signed the key that signed the launch digest."),
    ("author-key-used", "Whether there is an author key."),
    ("host-data", "What the host said at launch."),
    ("chip", "Whether the chip is one of the policy's."),
    ("chip-binding", "Whether the report names its chip."),
    ("provider", "Which cloud provider's key signed."),
    ("report-data", "Whether the report answers your question and no other."),
    ("report-data-listed", "Whether the report data is one that the policy lists."),
    ("runtime-data", "Whether the report speaks for the claims beside it."),
    ("claims", "Whether Azure's claims are well-formed and name the TPM's keys once."),
    ("user-data", "Whether the claims answer your question."),
    ("attestation-key", "The TPM key that signs quotes, and who says that it is the machine's."),
    ("quote", "Whether the TPM's key signed this statement about its registers."),
    ("quote-nonce", "Whether the quote answers your question."),
    ("pcrs", "Whether the values given are the ones that the quote signs."),
    ("vtpm", "Who runs the virtual TPM, and what ties it to the report."),
    ("vtpm-kind", "Whether the policy accepts who runs the virtual TPM."),
    ("services-manifest", "Whether the report speaks for what the service module says of its TPM."),
    ("event-log", "Whether the log of the boot leads to the registers that are vouched for."),
    ("event-secure-boot", "Whether Secure Boot was on."),
    ("event-programs", "Which programs the firmware started."),
    ("event-uki", "Which sections of a unified kernel image were measured."),
    ("event-kernel", "Which kernel was started."),
    ("event-initrd", "Which initrd was started."),
    ("event-cmdline", "With which command line the kernel was started."),
    ("event-binary", "Which executable of the gateway was measured."),
    ("core", "What the gateway fixed about itself when it started."),
    ("core-platform", "Whether what the gateway says of its machine fits the root."),
    ("certificates", "Whether the certificates beside the evidence are the ones that were used."),
    ("state", "Whether the proof names a state of this gateway."),
    ("states", "Whether the gateway's states form one chain signed by its key."),
    ("possession", "Whether the gateway holds the key that the report names."),
    ("fresh", "Whether a second report was made for a question."),
    ("nonce", "Whether the evidence answers your question and no older one."),
    ("release", "Whether every release key that you named signed the list of what a release measures."),
    ("code", "On whose word you believe which program runs."),
    ("release-policy", "Whether the policy that the gateway's state names is the one of the release."),
    (
        "release-script",
        "Whether the script that came with the bundle is the one of the release, and about this bundle.",
    ),
    ("release-provenance", "Whether the carried statement about the build is one that the release lists."),
    ("provenance", "Whether every release key that you named signed what the code was built from."),
    ("log", "Whether a public log shows that this boot was the only one."),
    ("proof", "Whether the gateway's key signed this proof."),
    ("challenge", "Whether the call carried your challenge."),
    ("request", "Whether the request is the one of the proof."),
    ("response", "Whether the answer is the one of the proof."),
    ("payment", "Whether the payment is the one of the proof."),
    ("settlement", "What became of the payment."),
    ("server", "Which server ran the call."),
    ("hmac", "The second tag of the proof, for those who hold its key."),
];

/// What the check of that name is about.
pub(crate) fn about(name: &str) -> &'static str {
    CHECKS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("A check that this version has no words for.", |(_, about)| about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_stands_once_and_ends() {
        for (at, (name, text)) in CHECKS.iter().enumerate() {
            assert!(text.ends_with('.'), "{name}");
            assert!(CHECKS.iter().skip(at + 1).all(|(later, _)| later != name), "{name}");
        }
    }
}
