//! The specification that apps are given is the one that is served.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::api::Api;

/// After a wanted change: `UPDATE_OPENAPI=1 cargo test --test it openapi` writes the file anew.
#[tokio::test]
async fn the_committed_specification_is_the_served_one() {
    let api = Api::start().await;
    let served = api.get("/openapi.json", "").await.text + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");

    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &served).unwrap();
    }

    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == served,
        "openapi.json is not what is served; UPDATE_OPENAPI=1 cargo test --test it openapi writes it"
    );
}

#[tokio::test]
async fn every_operation_asks_for_a_credential_and_refuses_as_it_says() {
    let api = Api::start().await;
    let spec = api.get("/openapi.json", "").await.body;
    let mut operations = 0;
    for (path, methods) in spec["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            // The one that knows its callers by a key in the body, as they have always sent it.
            if path == "/api/subscription/clear-cache" {
                continue;
            }
            assert!(operation["security"].is_array(), "{method} {path}");
            let method = method.to_uppercase().parse().unwrap();

            let answer = api
                .call(method, &path.replace("{user_id}", "ann"), "", None, &[])
                .await;

            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.headers.contains_key("www-authenticate"), "{path}");
            let schema = schema_of(&spec, &operation["responses"]["401"]);
            for field in schema["required"].as_array().unwrap() {
                let field = field.as_str().unwrap();
                assert!(
                    answer.body.get(field).is_some(),
                    "{path} lacks {field}: {}",
                    answer.text
                );
            }
            let known = schema["properties"].as_object().unwrap();
            for field in answer.body.as_object().unwrap().keys() {
                assert!(known.contains_key(field), "{path} does not say {field}");
            }
        }
    }
    assert_eq!(operations, 54);
}

#[tokio::test]
async fn the_documentation_has_a_page() {
    let api = Api::start().await;

    let page = api.get("/docs", "").await;

    assert_eq!(page.status, 200);
    assert!(page.text.contains("Tollkeeper"));
}

fn schema_of<'a>(spec: &'a Value, response: &Value) -> &'a Value {
    let content = response["content"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    let name = content["schema"]["$ref"].as_str().unwrap();
    &spec["components"]["schemas"][name.rsplit('/').next().unwrap()]
}
