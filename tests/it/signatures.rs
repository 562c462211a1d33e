//! The signature checks against recorded verdicts: every file dropped into `golden/signatures/` counts.

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::Value;
use tollkeeper::signature::{
    SignatureError, stripe,
    twilio::{self, Content, Signed},
};

fn vectors(provider: &str) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/signatures");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with(provider) || !name.ends_with(".json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        all.extend(file["vectors"].as_array().unwrap().iter().cloned());
    }
    assert!(!all.is_empty(), "no vectors of {provider}");
    all
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_default()
}

fn body(vector: &Value) -> Vec<u8> {
    if let Some(exact) = vector["body_base64"].as_str() {
        return BASE64_STANDARD.decode(exact).unwrap();
    }
    let recipe = &vector["body_recipe"];
    if recipe.is_object() {
        let middle = text(recipe, "repeat").repeat(recipe["times"].as_u64().unwrap() as usize);
        return (text(recipe, "prefix").to_owned() + &middle + text(recipe, "suffix")).into_bytes();
    }
    text(vector, "body").as_bytes().to_vec()
}

/// None: the verdict is as recorded. Otherwise what was expected and what came.
fn difference(vector: &Value, verdict: Result<usize, SignatureError>) -> Option<String> {
    let came = match verdict {
        Ok(_) => "ok",
        Err(error) => error.as_str(),
    };
    let is_fine = match text(vector, "expect") {
        "ok" => came == "ok" || vector["sdk_lenient"] == true,
        "error" | "invalid" => came != "ok",
        "divergent" => match text(vector, "recommend") {
            "accept" => came == "ok",
            "reject" => came != "ok",
            "either" => true,
            other => panic!("unknown advice {other}"),
        },
        kind => came == kind,
    };
    (!is_fine).then(|| {
        format!(
            "{}: expected {}, came {came}",
            text(vector, "name"),
            text(vector, "expect")
        )
    })
}

#[test]
fn every_recorded_stripe_verdict_is_ours() {
    let differences: Vec<String> = vectors("stripe")
        .iter()
        .filter_map(|vector| {
            let verdict = stripe::verify(
                text(vector, "header"),
                &body(vector),
                &[text(vector, "secret")],
                vector["now"].as_f64().unwrap().floor() as i64,
                vector["tolerance"].as_i64().unwrap(),
            );
            difference(vector, verdict)
        })
        .collect();

    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn every_recorded_twilio_verdict_is_ours() {
    let differences: Vec<String> = vectors("twilio")
        .iter()
        .filter_map(|vector| {
            let body = body(vector);
            let params = form(vector, &body);
            let content = match (text(vector, "method"), text(vector, "content_type")) {
                // A vector may hand the query over as parameters, to see it refused.
                ("GET", _) if vector["params"].is_array() => Content::Form(&params),
                ("GET", _) => Content::None,
                (_, kind) if kind.contains("json") => Content::Raw(&body),
                _ => Content::Form(&params),
            };
            let signed = Signed {
                header: text(vector, "header"),
                settings: vector["signature_settings_header"].as_str(),
                url: text(vector, "url"),
                content,
            };
            difference(vector, twilio::verify(&signed, &[text(vector, "secret")]))
        })
        .collect();

    assert_eq!(differences, Vec::<String>::new());
}

fn form(vector: &Value, body: &[u8]) -> Vec<(String, String)> {
    match vector["params"].as_array() {
        Some(pairs) => pairs
            .iter()
            .map(|pair| {
                let part = |at: usize| pair[at].as_str().unwrap().to_owned();
                (part(0), part(1))
            })
            .collect(),
        None => form_urlencoded::parse(body).into_owned().collect(),
    }
}

#[test]
fn the_call_of_the_replaced_service_still_verifies() {
    let params = [
        ("CallSid", "CA00000000000000000000000000000001"),
        ("From", "+15005550006"),
        ("To", "+18454090692"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let url = "https://svc.test/api/twilio/voice/user-1";
    let token = "12345678901234567890123456789012";

    assert_eq!(
        twilio::sign(token, url, &params),
        "zKmUkBOfmBqWcOClg6Qf2Tf18Bs="
    );
}

#[test]
fn a_parameter_sent_twice_is_signed_once() {
    let pair = ("To".to_owned(), "+15005550006".to_owned());
    let url = "https://svc.test/api/twilio/voice";

    assert_eq!(
        twilio::sign("token", url, &[pair.clone(), pair.clone()]),
        twilio::sign("token", url, &[pair])
    );
}

#[test]
fn the_secret_that_signed_is_named_while_several_are_active() {
    let header = stripe::sign("whsec_new", b"{}", 1_000);

    assert_eq!(
        stripe::verify(&header, b"{}", &["whsec_old", "whsec_new"], 1_010, 300),
        Ok(1)
    );

    let signed = Signed {
        header: &twilio::sign("promoted", "https://a.test/x", &[]),
        settings: None,
        url: "https://a.test/x",
        content: Content::None,
    };
    assert_eq!(twilio::verify(&signed, &["primary", "promoted"]), Ok(1));
}

/// Every single bit, not a sample: the bodies are short.
#[test]
fn no_flipped_bit_of_a_stripe_body_or_signature_is_accepted() {
    let body = br#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;
    let header = stripe::sign("whsec_a", body, 1_767_225_600);
    let accepts = |header: &str, body: &[u8]| {
        stripe::verify(header, body, &["whsec_a"], 1_767_225_601, 300).is_ok()
    };
    assert!(accepts(&header, body));

    for at in 0..body.len() * 8 {
        let mut changed = body.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(!accepts(&header, &changed), "bit {at} of the body");
    }
    for at in 0..header.len() * 8 {
        let mut changed = header.clone().into_bytes();
        changed[at / 8] ^= 1 << (at % 8);
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(!accepts(&changed, body), "bit {at} of the header");
        }
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_changed_byte_does(
        body in proptest::collection::vec(any::<u8>(), 1..300),
        at in any::<prop::sample::Index>(),
        change in 1..=255u8,
    ) {
        let header = stripe::sign("whsec_a", &body, 1_000);
        prop_assert_eq!(stripe::verify(&header, &body, &["whsec_a"], 1_000, 300), Ok(0));

        let mut changed = body.clone();
        changed[at.index(body.len())] ^= change;
        prop_assert_eq!(
            stripe::verify(&header, &changed, &["whsec_a"], 1_000, 300),
            Err(SignatureError::NoMatchingSignature)
        );
    }

    #[test]
    fn no_changed_parameter_of_a_form_is_accepted(
        values in proptest::collection::vec("[ -~]{1,12}", 1..8),
        at in any::<prop::sample::Index>(),
        change in "[ -~]{1,12}",
    ) {
        let url = "https://hooks.example.com/api/twilio/status/user-1";
        let params: Vec<(String, String)> = values
            .iter()
            .enumerate()
            .map(|(index, value)| (format!("Name{index}"), value.clone()))
            .collect();
        let header = twilio::sign("token", url, &params);
        let verdict = |url: &str, params: &[(String, String)]| {
            let signed = Signed { header: &header, settings: None, url, content: Content::Form(params) };
            twilio::verify(&signed, &["token"])
        };
        prop_assert_eq!(verdict(url, &params), Ok(0));
        prop_assert!(verdict(&(url.to_owned() + "?"), &params).is_err());

        let mut changed = params.clone();
        let value = &mut changed[at.index(params.len())].1;
        prop_assume!(*value != change);
        *value = change;
        prop_assert!(verdict(url, &changed).is_err());
    }
}
