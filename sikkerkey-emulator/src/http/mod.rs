//! HTTP/1.1, as much as this service needs. It is written out so that faults can break it on purpose.

mod reader;
mod request;
mod response;

pub(crate) use reader::Reader;
pub(crate) use request::{ReadError, Request};
pub(crate) use response::Response;
