//! The plaintext answer from actix-web, with its workers. Timers that a connection does not need here are off, as in
//! its benchmark entry.
#![forbid(unsafe_code)]

use actix_web::http::KeepAlive;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, SERVER};
use actix_web::{App, HttpResponse, HttpServer, web};
use rival_common::server::{self, Arguments, BODY};
use std::io;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = actix_web::rt::System::new().block_on(serve(&arguments)) {
        rival_common::fail(error)
    }
}

async fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = server::start("actix-http", arguments)?;
    HttpServer::new(|| App::new().route("/plaintext", web::get().to(plaintext)))
        .workers(arguments.workers)
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?
        .run()
        .await
}

async fn plaintext() -> HttpResponse {
    let mut response = HttpResponse::with_body(
        actix_web::http::StatusCode::OK,
        actix_web::body::BoxBody::new(web::Bytes::from_static(BODY.as_bytes())),
    );
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("actix"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
