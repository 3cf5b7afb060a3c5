//! NV indices. What we read there is public and signed by others, so the commands are authorized by the owner's empty
//! password, as the paravisors that watch them expect.

use tss_esapi::{
    Error,
    attributes::NvIndexAttributesBuilder,
    constants::{PropertyTag, response_code::Tss2ResponseCodeKind as Kind},
    handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        resource_handles::{NvAuth, Provision},
        session_handles::AuthSession,
    },
    structures::{MaxNvBuffer, NvPublicBuilder},
};

use super::linux::{Tpm, failed, kind};
use crate::TpmError;

/// An index that is defined.
struct Found {
    handle: NvIndexHandle,
    size: usize,
    read_by: NvAuth,
    write_by: NvAuth,
}

impl Tpm {
    /// The whole of an NV index, in pieces from the first byte on. None if it is not defined; empty if it was never
    /// written.
    ///
    /// # Errors
    /// [`TpmError::Failed`].
    pub fn read_nv(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError> {
        let Some(found) = self.find_nv(index)? else { return Ok(None) };
        let piece = self.nv_piece()?;
        let mut bytes = Vec::with_capacity(found.size);
        while bytes.len() < found.size {
            let (length, offset) = (short(piece.min(found.size - bytes.len()))?, short(bytes.len())?);
            let read = self.context.execute_with_session(Some(AuthSession::Password), |context| {
                context.nv_read(found.read_by, found.handle, length, offset)
            });
            match read {
                Ok(read) if read.value().len() == usize::from(length) => bytes.extend_from_slice(read.value()),
                Ok(_) => return Err(TpmError::Wrong { what: "fewer bytes of an NV index than were asked for" }),
                Err(error) if kind(&error) == Some(Kind::NvUninitialized) => return Ok(Some(Vec::new())),
                Err(error) => return Err(failed("read an NV index")(error)),
            }
        }
        Ok(Some(bytes))
    }

    /// Writes an NV index from its first byte on.
    ///
    /// # Errors
    /// [`TpmError::NoIndex`]; [`TpmError::Failed`], also if it holds less.
    pub fn write_nv(&mut self, index: u32, bytes: &[u8]) -> Result<(), TpmError> {
        let found = self.find_nv(index)?.ok_or(TpmError::NoIndex { index })?;
        let piece = self.nv_piece()?;
        let mut offset = 0;
        for part in bytes.chunks(piece) {
            let data = MaxNvBuffer::try_from(part).map_err(failed("encode what is to be written"))?;
            let at = short(offset)?;
            self.context
                .execute_with_session(Some(AuthSession::Password), |context| {
                    context.nv_write(found.write_by, found.handle, data, at)
                })
                .map_err(failed("write an NV index"))?;
            offset += part.len();
        }
        Ok(())
    }

    /// Defines an ordinary NV index of the owner's: he and whoever knows its empty password may read and write.
    ///
    /// # Errors
    /// [`TpmError::Failed`]: it is there already, or there is no room.
    pub fn define_nv(&mut self, index: u32, size: u16) -> Result<(), TpmError> {
        let doing = "define an NV index";
        let attributes = NvIndexAttributesBuilder::new()
            .with_owner_read(true)
            .with_owner_write(true)
            .with_auth_read(true)
            .with_auth_write(true)
            .build()
            .map_err(failed(doing))?;
        let public = NvPublicBuilder::new()
            .with_nv_index(NvIndexTpmHandle::new(index).map_err(failed(doing))?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(attributes)
            .with_data_area_size(usize::from(size))
            .build()
            .map_err(failed(doing))?;
        self.context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.nv_define_space(Provision::Owner, None, public)
            })
            .map(|_| ())
            .map_err(failed(doing))
    }

    fn find_nv(&mut self, index: u32) -> Result<Option<Found>, TpmError> {
        if !self.has_handle(index)? {
            return Ok(None);
        }
        let at = NvIndexTpmHandle::new(index).map_err(failed("encode an NV index"))?;
        let (handle, public) = self
            .context
            .execute_without_session(|context| {
                let handle = NvIndexHandle::from(context.tr_from_tpm_public(TpmHandle::NvIndex(at))?);
                let (public, _) = context.nv_read_public(handle)?;
                Ok::<_, Error>((handle, public))
            })
            .map_err(failed("look at an NV index"))?;
        let by = |owner| if owner { NvAuth::Owner } else { NvAuth::NvIndex(handle) };
        let attributes = public.attributes();
        Ok(Some(Found {
            handle,
            size: public.data_size(),
            read_by: by(attributes.owner_read()),
            write_by: by(attributes.owner_write()),
        }))
    }

    /// Bytes that one command may carry.
    fn nv_piece(&mut self) -> Result<usize, TpmError> {
        let most = self
            .context
            .execute_without_session(|context| context.get_tpm_property(PropertyTag::NvBufferMax))
            .map_err(failed("read its properties"))?;
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(MaxNvBuffer::MAX_SIZE);
        if most == 0 {
            return Err(TpmError::Wrong { what: "NV commands that carry nothing" });
        }
        Ok(most.min(MaxNvBuffer::MAX_SIZE))
    }
}

fn short(number: usize) -> Result<u16, TpmError> {
    u16::try_from(number).map_err(|_| TpmError::Wrong { what: "an NV index of more than 64 KiB" })
}
