//! The error that a request can end with, as it goes over the wire (section 4).

use serde_json::{Value, json};

/// The closed set of error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request itself is wrong.
    InvalidArgument,
    /// Something that it names does not exist.
    NotFound,
    /// The guest is not in the state for it.
    FailedPrecondition,
    /// The user may not do it.
    PermissionDenied,
    /// A limit of this protocol or of the guest was reached.
    ResourceExhausted,
    /// This guest cannot do it.
    Unsupported,
    /// What a shell reports as 127.
    CommandNotFound,
    /// What a shell reports as 126.
    CommandNotExecutable,
    /// A fault of the agent or the kernel.
    Internal,
}

impl Code {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::NotFound => "not_found",
            Code::FailedPrecondition => "failed_precondition",
            Code::PermissionDenied => "permission_denied",
            Code::ResourceExhausted => "resource_exhausted",
            Code::Unsupported => "unsupported",
            Code::CommandNotFound => "command_not_found",
            Code::CommandNotExecutable => "command_not_executable",
            Code::Internal => "internal",
        }
    }
}

/// A failed request: a code for programs and a message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// What happened, to what.
    pub message: String,
}

/// The result of a request or of a step of one.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with this code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    /// The error object of a CLOSE.
    pub fn to_json(&self) -> Value {
        json!({"code": self.code.as_str(), "message": self.message})
    }
}

/// Says what was being done when the kernel refused.
pub trait OrFail<T> {
    /// Turns the kernel's error into a failure `"<doing>: <kernel's words>"`.
    fn or_fail(self, code: Code, doing: impl std::fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<std::io::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: Code, doing: impl std::fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure::new(code, format!("{doing}: {}", errno_words(error.into()))))
    }
}

/// The kernel's words for an error, without Rust's "(os error N)".
pub fn errno_words(error: std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}
