//! Serves bundles of the current user's logs with axum.
//!
//! ```sh
//! cargo run --manifest-path examples/services/Cargo.toml --bin axum_server -- 127.0.0.1:8080
//! ```

use std::time::SystemTime;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use patchwork_traces::export::{ExportOptions, export};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).ok_or("usage: axum_server ADDRESS")?;
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/", get(answer))).await?;
    Ok(())
}

async fn answer() -> Response {
    // Exporting reads files and compresses, so it must not run on a thread of the runtime.
    match spawn_blocking(bundle).await {
        Ok(Ok(bundle)) => ([(header::CONTENT_TYPE, "application/gzip")], bundle).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(panicked) => (StatusCode::INTERNAL_SERVER_ERROR, panicked.to_string()).into_response(),
    }
}

/// Returns a bundle. It is complete before the response begins, so that a failure can still be reported.
fn bundle() -> Result<Vec<u8>, Error> {
    let logs = discover(&Dirs::from_env()?, &DiscoverOptions::default())?;
    let options = ExportOptions::new("axum_server 1.0", SystemTime::now().try_into()?);
    let mut bundle = Vec::new();
    export(&logs, &options, &mut bundle, "the response", &NoProgress)?;
    Ok(bundle)
}
