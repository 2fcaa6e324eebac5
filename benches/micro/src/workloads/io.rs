//! Bytes through the kernel.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use llam::net::UnixStream;

use super::Clock;

const MESSAGE_BYTES: usize = 64;

/// A pair of sockets and not loopback TCP, whose packets the kernel may deliver late when it is busy.
pub(super) fn echo(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (mut near, mut far) = UnixStream::pair()?;
    let server = llam::try_spawn(move || -> llam::Result<()> {
        let mut message = [0; MESSAGE_BYTES];
        loop {
            let count = far.read(&mut message)?;
            if count == 0 {
                return Ok(());
            }
            far.write_all(&message[..count])?;
        }
    })?;
    let start = Instant::now();
    let mut answer = [0; MESSAGE_BYTES];
    for round in 0..operations {
        let message = [round as u8; MESSAGE_BYTES];
        near.write_all(&message)?;
        near.read_exact(&mut answer)?;
        assert_eq!(answer, message, "the answer to another message");
    }
    let elapsed = start.elapsed();
    drop(near);
    server.join()??;
    Ok(elapsed)
}
