//! Twilio's pages: `PageSize`, `Page` and the `next_page_uri` to follow.

use serde_json::{Value, json};

use crate::sandbox::wire::{Reply, Request};

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;

/// The page asked for, out of all rows, under `key`.
pub fn page(request: &Request, key: &str, rows: Vec<Value>) -> Reply {
    let number = |name| {
        request
            .params
            .get(name)
            .and_then(|value| value.parse::<usize>().ok())
    };
    let size = number("PageSize")
        .unwrap_or(PAGE_SIZE)
        .clamp(1, PAGE_SIZE_MAX);
    let page = number("Page").unwrap_or(0);
    let start = page.saturating_mul(size).min(rows.len());
    let end = (start + size).min(rows.len());
    let has_more = end < rows.len();

    let mut body = json!({
        "first_page_uri": uri(request, size, 0),
        "next_page_uri": has_more.then(|| uri(request, size, page + 1)),
        "previous_page_uri": (page > 0).then(|| uri(request, size, page - 1)),
        "uri": uri(request, size, page),
        "page": page,
        "page_size": size,
        "start": start,
        "end": end.saturating_sub(1),
    });
    body[key] = Value::Array(rows.into_iter().skip(start).take(size).collect());
    Reply::done(200, body)
}

/// The same list, another page; relative to the provider's base, as Twilio has it.
fn uri(request: &Request, size: usize, page: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let paging = ["PageSize", "Page", "PageToken"];
    for (name, value) in &request.params.0 {
        if !paging.contains(&name.as_str()) {
            query.append_pair(name, value);
        }
    }
    query.append_pair("PageSize", &size.to_string());
    query.append_pair("Page", &page.to_string());
    format!("{}?{}", request.path, query.finish())
}
