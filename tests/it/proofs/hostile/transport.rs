//! Requests that are wrong before anybody asks what they say, at every family of paths.

use super::{Case, all_refused, case, guarded, head, request};
use crate::support::web::Web;

const LARGE: &str = "10000000";

/// A path of each family, and what it says to a request whose body is empty.
const FAMILIES: [(&str, &str, u16, &str); 8] = [
    ("POST", "/stripe/webhook", 400, "Invalid signature"),
    ("POST", "/api/twilio/voice", 403, "Forbidden"),
    ("POST", "/voice/ann", 403, "Forbidden"),
    ("POST", "/webhooks/voipms/sms", 403, "Forbidden"),
    (
        "POST",
        "/webhooks/voipms/sms/no-such-token",
        403,
        "Forbidden",
    ),
    (
        "POST",
        "/api/subscription/provision-twilio",
        401,
        "UNAUTHENTICATED",
    ),
    ("GET", "/api/twilio/numbers", 401, "UNAUTHENTICATED"),
    ("POST", "/nowhere", 404, "NOT_FOUND"),
];

fn bodies((method, path, status, code): (&str, &str, u16, &'static str)) -> Vec<Case> {
    let chunked = [("transfer-encoding", "chunked")];
    let with = |what: &str, headers: &[(&str, &str)], body: &[u8], status, code| {
        case(
            format!("{method} {path}, {what}"),
            head(method, path, headers, body),
            status,
            code,
        )
    };
    let lengths = |one, other| [("content-length", one), ("content-length", other)];
    let both = [("content-length", "4"), ("transfer-encoding", "chunked")];
    let mut large = b"80000\r\n".to_vec();
    large.resize(large.len() + 0x80000, b'a');
    vec![
        with("empty", &[("content-length", "0")], b"", status, code),
        with(
            "declared too large",
            &[("content-length", LARGE)],
            b"",
            413,
            "BODY_TOO_LARGE",
        ),
        with(
            "declared too large by far",
            &[("content-length", "18446744073709551614")],
            b"",
            431,
            "",
        ),
        with(
            "a length that is no number",
            &[("content-length", "1e9")],
            b"",
            400,
            "",
        ),
        with(
            "a negative length",
            &[("content-length", "-1")],
            b"",
            400,
            "",
        ),
        with(
            "a length beyond numbers",
            &[("content-length", "99999999999999999999999")],
            b"",
            400,
            "",
        ),
        with("two lengths", &lengths("1", "2"), b"a", 400, ""),
        with("a length and chunks", &both, b"0\r\n\r\n", status, code),
        with(
            "more promised than sent",
            &[("content-length", "1000")],
            b"{}",
            408,
            "BODY_TOO_SLOW",
        ),
        with(
            "more sent than promised",
            &[("content-length", "0")],
            b"POST /x HTTP/1.1\r\n\r\n",
            status,
            code,
        ),
        with("chunked too large", &chunked, &large, 413, "BODY_TOO_LARGE"),
        with(
            "truncated chunks",
            &chunked,
            b"5\r\nab",
            408,
            "BODY_TOO_SLOW",
        ),
        with(
            "a chunk that is none",
            &chunked,
            b"zz\r\nab\r\n0\r\n\r\n",
            400,
            "INVALID_REQUEST",
        ),
        with(
            "a chunk longer than its length",
            &chunked,
            b"1\r\nabc\r\n0\r\n\r\n",
            400,
            "INVALID_REQUEST",
        ),
        with(
            "a chunk beyond numbers",
            &chunked,
            b"FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
            400,
            "INVALID_REQUEST",
        ),
        with(
            "chunks within gzip",
            &[("transfer-encoding", "gzip, chunked")],
            b"0\r\n\r\n",
            status,
            code,
        ),
        with(
            "an encoding of nobody",
            &[("transfer-encoding", "secret")],
            b"",
            400,
            "",
        ),
    ]
}

fn heads() -> Vec<Case> {
    let raw =
        |what: &str, bytes: &str, status, code| case(what, bytes.as_bytes().to_vec(), status, code);
    let get = |what: &str, target: &str, status, code| {
        case(what, request("GET", target, &[], b""), status, code)
    };
    let many: Vec<(&str, &str)> = vec![("x-many", "1"); 200];
    let long = "x".repeat(70_000);
    let bomb = "x".repeat(600_000);
    vec![
        case(
            "200 headers",
            request("GET", "/healthz", &many, b""),
            431,
            "",
        ),
        case(
            "a header of 600 kB",
            request("GET", "/healthz", &[("x-large", &bomb)], b""),
            431,
            "",
        ),
        case(
            "a header name of 70 kB",
            request("GET", "/healthz", &[(&long, "1")], b""),
            431,
            "",
        ),
        get("a path of 70 kB", &format!("/{long}"), 414, ""),
        raw("not HTTP", "hello\r\n\r\n", 400, ""),
        raw(
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
            400,
            "",
        ),
        raw("HTTP/0.9", "GET /healthz\r\n\r\n", 400, ""),
        raw(
            "HTTP/9.9",
            "GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n",
            400,
            "",
        ),
        raw(
            "a NUL in a header",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: \0\r\n\r\n",
            400,
            "",
        ),
        raw(
            "a bare CR in a header",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: b\rc: d\r\n\r\n",
            400,
            "",
        ),
        raw(
            "a space before the colon",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nx-a : b\r\n\r\n",
            400,
            "",
        ),
        raw(
            "a folded header",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: b\r\n c\r\n\r\n",
            400,
            "",
        ),
        get("a NUL in the path", "/api/subscription/\0", 400, ""),
        get("the path of a file", "/../../etc/passwd", 404, "NOT_FOUND"),
        get(
            "the same in disguise",
            "/docs/..%2f..%2f..%2fetc/passwd",
            404,
            "NOT_FOUND",
        ),
        get("empty segments", "//api//twilio//numbers", 404, "NOT_FOUND"),
        get(
            "another host's URL",
            "http://evil.test/nowhere",
            404,
            "NOT_FOUND",
        ),
        case(
            "a tunnel",
            request("CONNECT", "evil.test:443", &[], b""),
            404,
            "NOT_FOUND",
        ),
        case(
            "a method of nobody",
            request("SECRET", "/healthz", &[], b""),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        case(
            "a delete of health",
            request("DELETE", "/readyz", &[], b""),
            405,
            "METHOD_NOT_ALLOWED",
        ),
    ]
}

#[tokio::test]
async fn broken_requests_are_refused_at_every_path() {
    let web = Web::with(guarded).await;
    let cases = FAMILIES.into_iter().flat_map(bodies).chain(heads());
    all_refused("hostile_transport", &web, cases.collect()).await;
}
