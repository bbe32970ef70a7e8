//! Responds to each HTTP request with a bundle of the current user's logs.
//!
//! ```sh
//! cargo run --example serve -- 127.0.0.1:8080    # an optional second argument limits the number of requests
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::time::SystemTime;

use patchwork_traces::export::{ExportOptions, ExportReport, export};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().ok_or("usage: serve ADDRESS [REQUESTS]")?)?;
    let requests = arguments.next().map_or(Ok(usize::MAX), |number| number.parse())?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming().take(requests) {
        if let Err(error) = answer(stream?) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    // A request ends with an empty line. This example ignores its contents.
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}

    // The bundle is complete before the response begins, so that a failure can still be reported.
    let mut bundle = tempfile::tempfile()?;
    let report = match write_bundle(&mut bundle) {
        Ok(report) => report,
        Err(error) => {
            write!(stream, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n{error}\n")?;
            return Err(error);
        }
    };
    let length = report.bundle_bytes;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {length}\r\n")?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    bundle.rewind()?;
    std::io::copy(&mut bundle, &mut stream)?;
    println!("{length} bytes, digest {}", report.digest);
    Ok(())
}

fn write_bundle(bundle: &mut File) -> Result<ExportReport, Box<dyn Error>> {
    let logs = discover(&Dirs::from_env()?, &DiscoverOptions::default())?;
    let options = ExportOptions::new("serve 1.0", SystemTime::now().try_into()?);
    Ok(export(&logs, &options, bundle, "the response", &NoProgress)?)
}
