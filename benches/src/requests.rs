//! What a load asks for: from the command line to a report and to the load side.
//!
//! Called by `throughput` and `sweep`.

use crate::args::{EchoRequests, HttpRequests};
use crate::load::{Exchange, Protocol};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is asked for, as a report says it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Requests {
    Echo {
        size_bytes: u32,
    },
    Http {
        method: &'static str,
        path: String,
        host: String,
        /// Of a posted message.
        #[serde(skip_serializing_if = "Option::is_none")]
        size_bytes: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expect_body: Option<String>,
    },
}

impl Requests {
    pub(crate) fn echo(arguments: &EchoRequests) -> Self {
        Self::Echo {
            size_bytes: arguments.size,
        }
    }

    pub(crate) fn http(arguments: &HttpRequests, address: SocketAddr) -> Self {
        let (method, default_path) = match arguments.echo {
            true => ("POST", "/echo"),
            false => ("GET", "/plaintext"),
        };
        let path = arguments.path.as_deref().unwrap_or(default_path);
        Self::Http {
            method,
            path: path.to_owned(),
            host: arguments.host.clone().unwrap_or(address.to_string()),
            size_bytes: arguments.echo.then_some(arguments.size),
            expect_body: arguments.expect_body.clone(),
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Echo { size_bytes } => Protocol::Echo {
                size: *size_bytes as usize,
            },
            Self::Http {
                path,
                host,
                size_bytes,
                expect_body,
                ..
            } => Protocol::Http(Arc::new(match size_bytes {
                Some(size) => Exchange::post(path, host, *size as usize),
                None => Exchange::get(path, host, expect_body.as_deref()),
            })),
        }
    }

    /// In a few words.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Echo { size_bytes } => format!("{size_bytes} bytes"),
            Self::Http {
                method,
                path,
                size_bytes,
                ..
            } => {
                let size = size_bytes.map_or_else(String::new, |size| format!(" of {size} bytes"));
                format!("{method} {path}{size}")
            }
        }
    }
}
