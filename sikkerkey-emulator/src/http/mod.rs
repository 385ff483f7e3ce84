//! HTTP/1.1 as far as this service needs it, written out so that it can also be done wrong on purpose.

mod reader;
mod request;
mod response;

pub(crate) use reader::Reader;
pub(crate) use request::{ReadError, Request};
pub(crate) use response::Response;
