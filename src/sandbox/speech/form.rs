//! `multipart/form-data`, as far as a file and a few words need it.

pub struct Form<'a> {
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    name: &'a str,
    file_name: Option<&'a str>,
    bytes: &'a [u8],
}

impl<'a> Form<'a> {
    /// None: it is no such form.
    pub fn read(content_type: Option<&str>, body: &'a [u8]) -> Option<Form<'a>> {
        let boundary = content_type?.strip_prefix("multipart/form-data; boundary=")?;
        let delimiter = format!("\r\n--{boundary}");
        let first = format!("--{boundary}");
        let mut rest = body.strip_prefix(first.as_bytes())?;
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let inner = rest.strip_prefix(b"\r\n")?;
            let head_ends = find(inner, b"\r\n\r\n")?;
            let (head, inner) = inner.split_at(head_ends);
            let inner = &inner[4..];
            let ends = find(inner, delimiter.as_bytes())?;
            let head = str::from_utf8(head).ok()?;
            parts.push(Part {
                name: quoted(head, "; name=\"")?,
                file_name: quoted(head, "; filename=\""),
                bytes: &inner[..ends],
            });
            rest = &inner[ends + delimiter.len()..];
        }
        Some(Form { parts })
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().map(|part| part.name)
    }

    pub fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.parts.iter().find(|part| part.name == name);
        found.map(|part| part.bytes)
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        str::from_utf8(self.bytes(name)?).ok()
    }

    pub fn file_name(&self) -> Option<&'a str> {
        self.parts.iter().find_map(|part| part.file_name)
    }
}

fn quoted<'a>(head: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = head.split_once(before)?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Skips from one first byte to the next: a file is megabytes.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == wanted[0]) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
