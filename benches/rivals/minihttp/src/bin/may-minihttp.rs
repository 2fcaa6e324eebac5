//! The plaintext answer from may_minihttp, which answers all requests that have come with one write. It makes
//! the date and the server header itself, and leaves TCP_NODELAY off.
#![forbid(unsafe_code)]

use may_minihttp::{HttpServer, HttpService, Request, Response};
use rival_common::server::{self, Arguments, BODY};
use std::io;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    rival_may::configure(arguments.workers, rival_may::POOL_CAPACITY);
    server::end_on_signal()?;
    let (_reserved, address) = server::reserve(arguments.address)?;
    let serving = HttpServer(Plaintext).start(address)?;
    server::announce("may-minihttp", address)?;
    serving
        .join()
        .map_err(|_| io::Error::other("the accepting coroutine panicked"))
}

#[derive(Debug, Clone)]
struct Plaintext;

impl HttpService for Plaintext {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        if request.path() != "/plaintext" {
            response.status_code(404, "Not Found");
            return Ok(());
        }
        response.header("Content-Type: text/plain").body(BODY);
        Ok(())
    }
}
