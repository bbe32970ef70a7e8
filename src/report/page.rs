//! Puts the data of a report into the page.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use data_encoding::BASE64;

use super::data::ReportData;
use crate::error::{Error, IoAction, Result};

/// The page, built by `page/build.mjs`.
const PAGE: &str = include_str!("page.html");

/// The place of the data in the page.
const REPORT_MARK: &str = "@REPORT@";
const BUNDLE_MARK: &str = "@BUNDLE@";

/// The number of bytes that become base64 at once, a multiple of three.
const BASE64_BYTES: usize = 48 << 10;

/// Writes the page to `out`, which is `path`. Reads the bundle to embed, which errors call `name`. Returns the number of
/// bytes written.
pub fn write(data: &ReportData, bundle: Option<impl Read>, name: &str, out: impl Write, path: &Path) -> Result<u64> {
    let failed = |error| Error::io(IoAction::Write, path, error);
    let (head, rest) = PAGE.split_once(REPORT_MARK).unwrap_or((PAGE, ""));
    let (middle, tail) = rest.split_once(BUNDLE_MARK).unwrap_or((rest, ""));
    let mut out = PageWriter { inner: BufWriter::with_capacity(1 << 16, out), bytes: 0 };
    let json = data.to_json().map_err(|error| failed(io::Error::from(error)))?;
    for part in [head, &escape(&json), middle] {
        out.write_all(part.as_bytes()).map_err(failed)?;
    }
    if let Some(mut bundle) = bundle {
        let mut bytes = Vec::with_capacity(BASE64_BYTES);
        loop {
            bytes.clear();
            let read = bundle.by_ref().take(BASE64_BYTES as u64).read_to_end(&mut bytes);
            if read.map_err(|error| Error::io_named(IoAction::Read, name, error))? == 0 {
                break;
            }
            out.write_all(BASE64.encode(&bytes).as_bytes()).map_err(failed)?;
        }
    }
    out.write_all(tail.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    Ok(out.bytes)
}

/// Escapes what could end the data block, or begin a comment in it. JSON has these characters only in strings.
fn escape(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A writer that counts bytes.
struct PageWriter<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for PageWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_each_mark_once_in_order() {
        assert_eq!((PAGE.matches(REPORT_MARK).count(), PAGE.matches(BUNDLE_MARK).count()), (1, 1));
        assert!(PAGE.find(REPORT_MARK) < PAGE.find(BUNDLE_MARK));
    }

    #[test]
    fn nothing_in_the_data_can_end_its_element() {
        assert_eq!(escape("\"</script><!--&\""), "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
    }
}
