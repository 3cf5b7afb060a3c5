//! Why a conversation with a server came to nothing.

use std::sync::Arc;

use crate::{InstanceError, SandboxError};

/// Why there is no answer. [`SessionError::fix`] says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server failed while it had the request.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The server had ended before the request was sent.
    #[error("the request was not sent: {0}")]
    NotSent(InstanceError),
    /// The server could not be started.
    #[error(transparent)]
    Start(Arc<SandboxError>),
    /// The server's answer to `initialize` is no greeting, or a list that it says to have is none.
    #[error("handshake: {0}")]
    Handshake(String),
    /// The request has had its answer.
    #[error("the request was answered already")]
    Answered,
    /// All places for containers are taken by running calls.
    #[error("{cap} containers are running and all of them are busy")]
    Full {
        /// The configured number.
        cap: usize,
    },
    /// The pool is being stopped.
    #[error("the gateway is stopping")]
    Stopping,
}

impl SessionError {
    /// What the caller or operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Instance(error) | Self::NotSent(error) => error.fix(),
            Self::Start(error) => error.fix(),
            Self::Handshake(_) => "this program does not speak MCP over stdio, or needs an argument to do so".into(),
            Self::Answered => "this is a fault of the program: nothing comes after an answer".into(),
            Self::Full { .. } => "try again in a moment, or raise the number of containers".into(),
            Self::Stopping => "try again when it is back".into(),
        }
    }
}

impl From<SandboxError> for SessionError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Instance(error) => Self::Instance(error),
            other => Self::Start(Arc::new(other)),
        }
    }
}
