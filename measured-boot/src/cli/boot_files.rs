//! The files a guest is started from, as `launch-digest` and `explain` take them.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use measured_boot::launch::{Image, ImageError, ImageKind, KernelHashes, LaunchError, MAX_IMAGE_BYTES, Sha256Digest};

use super::{
    Stop,
    files::{read, sha256_of},
    numbers::number,
};

/// Kernel and initrd reach the firmware through fw_cfg, which counts their bytes in 32 bits.
pub(super) const MAX_BOOT_FILE_BYTES: u64 = u32::MAX as u64;

/// Arguments that name files.
#[derive(Args)]
pub(super) struct BootFiles {
    /// The firmware as the monitor gets it: OVMF.fd, or OVMF_CODE.fd where its variables lie in a file of their own.
    #[arg(long, value_name = "FILE")]
    pub(super) ovmf: PathBuf,
    /// Kernel that QEMU boots directly, with kernel-hashes=on.
    #[arg(long, value_name = "FILE")]
    pub(super) kernel: Option<PathBuf>,
    /// Its initrd.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(super) initrd: Option<PathBuf>,
    /// Its command line, as after -append.
    #[arg(long, value_name = "TEXT", requires = "kernel", allow_hyphen_values = true)]
    pub(super) append: Option<OsString>,
    /// SVSM image, for --mode snp:svsm.
    #[arg(long, value_name = "FILE")]
    pub(super) svsm: Option<PathBuf>,
    /// Length of OVMF_VARS.fd in bytes, for --mode snp:svsm.
    #[arg(long, value_name = "BYTES", value_parser = number, conflicts_with = "vars_file")]
    pub(super) vars_size: Option<u64>,
    /// OVMF_VARS.fd itself.
    #[arg(long, value_name = "FILE")]
    pub(super) vars_file: Option<PathBuf>,
}

/// Digests of kernel and initrd.
pub(super) struct Kernel {
    pub(super) kernel: Sha256Digest,
    pub(super) initrd: Option<Sha256Digest>,
}

impl BootFiles {
    /// The firmware's bytes; of one more than may be, at most.
    pub(super) fn read_ovmf(&self) -> Result<Vec<u8>, Stop> {
        read(&self.ovmf, MAX_IMAGE_BYTES)
    }

    /// The SVSM's, if one is named.
    pub(super) fn read_svsm(&self) -> Result<Option<Vec<u8>>, Stop> {
        self.svsm.as_deref().map(|path| read(path, MAX_IMAGE_BYTES)).transpose()
    }

    /// Digests of the kernel and its initrd, if a kernel is named.
    pub(super) fn hash_kernel(&self) -> Result<Option<Kernel>, Stop> {
        let Some(kernel) = &self.kernel else { return Ok(None) };
        let hash = |path: &Path| sha256_of(path, MAX_BOOT_FILE_BYTES);
        Ok(Some(Kernel { kernel: hash(kernel)?, initrd: self.initrd.as_deref().map(hash).transpose()? }))
    }

    /// As the firmware compares them.
    pub(super) fn kernel_hashes(&self) -> Result<Option<KernelHashes>, Stop> {
        Ok(self.hash_kernel()?.map(|files| KernelHashes {
            kernel: files.kernel,
            initrd: files.initrd.unwrap_or_else(KernelHashes::no_initrd),
            command_line: KernelHashes::of_command_line(self.command_line()),
        }))
    }

    /// Empty where none was given.
    pub(super) fn command_line(&self) -> &[u8] {
        self.append.as_deref().unwrap_or_default().as_encoded_bytes()
    }

    /// Kernel, initrd and command line as flags.
    pub(super) fn kernel_flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        for (flag, path) in [("--kernel", &self.kernel), ("--initrd", &self.initrd)] {
            flags.extend(path.iter().flat_map(|path| [flag.to_owned(), path.display().to_string()]));
        }
        flags.extend(self.append.iter().flat_map(|text| ["--append".to_owned(), text.to_string_lossy().into_owned()]));
        flags
    }

    /// Length of the variables, if anything says it.
    pub(super) fn vars_bytes(&self) -> Result<Option<u64>, Stop> {
        let Some(path) = &self.vars_file else { return Ok(self.vars_size) };
        let metadata = fs::metadata(path);
        metadata
            .map(|metadata| Some(metadata.len()))
            .map_err(|error| Stop::usage(path.display(), error, "give a readable file, or --vars-size BYTES"))
    }

    pub(super) fn parse_ovmf<'a>(&self, bytes: &'a [u8]) -> Result<Image<'a>, Stop> {
        Image::parse(bytes).map_err(|error| image_stop(&self.ovmf, &error))
    }

    /// Names the file that the error is about.
    pub(super) fn stop(&self, error: &LaunchError) -> Stop {
        match error {
            LaunchError::Image { kind: ImageKind::Firmware, error } => image_stop(&self.ovmf, error),
            LaunchError::Image { kind: ImageKind::Svsm, error } => {
                image_stop(self.svsm.as_deref().unwrap_or_else(|| Path::new("--svsm")), error)
            }
            other => Stop::arguments(other, other.fix()),
        }
    }
}

pub(super) fn image_stop(path: &Path, error: &ImageError) -> Stop {
    Stop::malformed(path, error, error.fix())
}
