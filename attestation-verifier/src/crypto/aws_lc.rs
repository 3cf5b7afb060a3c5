//! [`Crypto`] by AWS-LC: a P-384 with code for the processor, four times as fast as that of `ring`.

super::back_end::back_end!(AwsLc, aws_lc_rs);

/// [`Crypto`] by AWS-LC, the C library underneath `aws-lc-rs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;
