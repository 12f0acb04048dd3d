//! HTTP/1.1 framing (RFC 9112), both sides, pure over buffers; the edge does the I/O. (skeleton)

pub mod body;
pub mod head;
pub mod write;
