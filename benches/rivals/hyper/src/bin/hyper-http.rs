//! The plaintext answer from hyper: a current-thread runtime per worker, each with its own listener on the
//! same address, as its benchmark entry does it. Pipelined answers are written together.
#![forbid(unsafe_code)]

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rival_common::server::{self, Arguments, BODY};
use std::convert::Infallible;
use std::{io, thread};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    server::end_on_signal()?;
    let mut listeners = server::listen_shared(arguments.address, arguments.workers)?.into_iter();
    let first = listeners.next().expect("there is one at least");
    server::announce("hyper-http", first.local_addr()?)?;
    for listener in listeners {
        thread::spawn(move || {
            if let Err(error) = run(listener) {
                rival_common::fail(error);
            }
        });
    }
    run(first)
}

fn run(listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    listener.set_nonblocking(true)?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream));
        }
    })
}

/// A peer that is gone ends its connection only.
async fn connection(stream: TcpStream) {
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    if request.uri().path() != "/plaintext" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("hyper"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("13"));
    Ok(response)
}
