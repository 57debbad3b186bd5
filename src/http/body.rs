//! Reading a request's body, within limits of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::MAX_BODY_BYTES;
use crate::error::{Code, Failure};

/// A body that is too large is still read up to this size, and discarded, so that its sender gets
/// to read the answer. The platform itself allows 4.5 MB.
const MAX_DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where the instance is full: whoever is slow keeps the place of the next.
const HURRIED_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes the body has, and the body itself or the reason why there is none.
pub(super) async fn read<B>(body: B, has_time: bool) -> (usize, Result<Bytes, Failure>)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
{
    let limit = if has_time {
        BODY_TIMEOUT
    } else {
        HURRIED_TIMEOUT
    };
    timeout(limit, read_whole(body)).await.unwrap_or_else(|_| {
        let failure = Failure::invalid("The body did not arrive in time.", Vec::new());
        (0, Err(failure))
    })
}

async fn read_whole<B>(mut body: B) -> (usize, Result<Bytes, Failure>)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
{
    // As much as is announced: a buffer that grows doubles, and would be half empty in the end.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(MAX_BODY_BYTES);
    let mut bytes = BytesMut::with_capacity(announced.min(MAX_BODY_BYTES));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let failure = Failure::invalid("The body broke off.", Vec::new());
            return (length, Err(failure));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else if length > MAX_DRAINED_BYTES {
            break;
        }
    }
    if length > MAX_BODY_BYTES {
        let message = format!("The body is larger than {MAX_BODY_BYTES} bytes (1 MiB).");
        return (length, Err(Failure::new(Code::PayloadTooLarge, message)));
    }
    (length, Ok(bytes.freeze()))
}
