//! Where the head of a request ends.

use std::io;

/// Finds the blank line that ends the head of a request.
#[derive(Default)]
pub struct Head {
    start: Vec<u8>,
    has_line: bool,
    is_line_blank: bool,
}

impl Head {
    /// Whether the head is complete with these bytes.
    pub fn ends_in(&mut self, bytes: &[u8]) -> io::Result<bool> {
        for &byte in bytes {
            if byte == b'\n' {
                // Blank lines before the first one do not count: they could be sent for ever.
                if self.has_line && self.is_line_blank {
                    return Ok(true);
                }
                self.is_line_blank = true;
            } else if byte != b'\r' {
                self.has_line = true;
                self.is_line_blank = false;
                self.refuse_http2(byte)?;
            }
        }
        Ok(false)
    }

    /// HTTP/2 with prior knowledge has no blank lines to watch, and no provider speaks it in the clear.
    fn refuse_http2(&mut self, byte: u8) -> io::Result<()> {
        const PREFACE: &[u8] = b"PRI ";
        if self.start.len() < PREFACE.len() {
            self.start.push(byte);
            if self.start == PREFACE {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "HTTP/2 in the clear is not spoken here",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[&str], ends: bool) {
        let mut head = Head::default();
        let ended = parts
            .iter()
            .any(|part| head.ends_in(part.as_bytes()).unwrap());
        assert_eq!(ended, ends, "{parts:?}");
    }

    #[test]
    fn a_head_ends_with_its_blank_line() {
        check(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"], true);
        check(&["GET / HTTP/1.1\r\nHost: a\r\n\r", "\nbody"], true);
        check(&["GET / HTTP/1.1\nHost: a\n\n"], true);
        check(&["GET / HTTP/1.1\r\nHost: a\r\n"], false);
        check(&["GET / HTTP/1.1\r\n", "X: 1\r\n", "Y: 2\r\n"], false);
    }

    #[test]
    fn blank_lines_alone_are_no_head() {
        check(&["\r\n", "\r\n\r\n", "\n\n\n"], false);
        check(&["\r\n\r\nGET / HTTP/1.1\r\n\r\n"], true);
    }

    #[test]
    fn http2_in_the_clear_is_refused() {
        let mut head = Head::default();
        assert!(head.ends_in(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err());
    }
}
