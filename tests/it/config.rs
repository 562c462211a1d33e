//! The settings: what is read, what is refused, what is never shown.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper::config::{Config, ConfigError, is_price_setting};

const SAMPLE: &str = include_str!("../../.env.sample");

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_map(&variables(pairs))
}

fn sample() -> BTreeMap<String, String> {
    dotenvy::from_read_iter(SAMPLE.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn the_sample_names_every_variable_that_is_read_and_no_other() {
    let sample = sample();
    let named: BTreeSet<&str> = sample
        .keys()
        .map(String::as_str)
        .filter(|name| !is_price_setting(name))
        .collect();
    assert_eq!(named, Config::names());
    assert!(sample.keys().any(|name| is_price_setting(name)));
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    let from_sample = Config::from_map(&sample()).unwrap();
    let from_nothing = config(&[]).unwrap();
    assert_eq!(format!("{from_sample:#?}"), format!("{from_nothing:#?}"));
    // An empty value shows no default: whatever has one must be written out.
    assert!(sample()["VOICE_GREETING"].starts_with("Hello!"));
}

#[test]
fn every_variable_of_the_sample_is_explained() {
    let mut before = "";
    for line in SAMPLE.lines() {
        if line.contains('=') && !line.starts_with('#') {
            assert!(!before.is_empty(), "nothing explains {line}");
        }
        before = line;
    }
}

#[test]
fn all_faults_are_told_at_once_with_their_variables() {
    let error = config(&[
        ("PORT", "many"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("ENCRYPTION_KEY", "a1b2"),
        ("STRIPE_SECRET_KEY", "pk_live_hunter2"),
        ("STRIPE_API_BASE", "https://me:hunter2@stripe"),
        ("TWILIO_ACCOUNT_SID", "hunter2"),
        ("JWT_SECRET", "hunter2"),
        ("VOIPMS_CALLBACK_TOKENS", "hunter2"),
        ("NUMBER_AREA_CODES", "415,12"),
        ("POOL_WORK", "0"),
        ("JOB_LEASE", "soon"),
        ("NOTIFY_ALLOW_PRIVATE", "perhaps"),
        ("NOTIFY_TIMEOUT", "2m"),
        ("SMTP_URL", "smtp://ann:hunter2@mail.example.com?tls=none"),
        ("EMAIL_FROM", "hunter2"),
        ("EMAIL_REPLY_TO", "hunter2@"),
        ("SMTP_TIMEOUT", "51s"),
        ("LOG_FORMAT", "xml"),
    ])
    .unwrap_err();

    let text = error.to_string();
    for name in [
        "PORT",
        "DATABASE_URL",
        "ENCRYPTION_KEY",
        "STRIPE_SECRET_KEY",
        "STRIPE_API_BASE",
        "TWILIO_ACCOUNT_SID",
        "JWT_SECRET",
        "VOIPMS_CALLBACK_TOKENS",
        "NUMBER_AREA_CODES",
        "POOL_WORK",
        "JOB_LEASE",
        "NOTIFY_ALLOW_PRIVATE",
        "NOTIFY_TIMEOUT",
        "SMTP_URL",
        "EMAIL_FROM",
        "EMAIL_REPLY_TO",
        "SMTP_TIMEOUT",
        "LOG_FORMAT",
    ] {
        assert!(
            error
                .faults
                .iter()
                .any(|fault| fault.starts_with(&format!("{name}: "))),
            "{name} in {text}"
        );
    }
    assert!(
        !text.contains("hunter2") && !text.contains("a1b2"),
        "{text}"
    );
}

#[test]
fn a_limit_of_the_api_is_switched_off_with_nothing_and_a_window_is_in_milliseconds() {
    let off = config(&[
        ("RATE_LIMIT_WINDOW", "1500"),
        ("RATE_LIMIT_MAX_REQUESTS", "0"),
    ]);
    let off = off.unwrap().rate_limits;
    assert_eq!((off.window.as_millis(), off.requests_max), (1500, 0));
    assert_eq!(
        (off.phone_per_hour_max, off.billing_per_hour_max),
        (10, 100)
    );

    for (name, value) in [
        ("RATE_LIMIT_WINDOW", "1m"),
        ("RATE_LIMIT_WINDOW", "999"),
        ("RATE_LIMIT_MAX_REQUESTS", "-1"),
        ("RATE_LIMIT_PHONE_PER_HOUR", "1000001"),
    ] {
        let faults = config(&[(name, value)]).unwrap_err().faults;
        assert!(faults[0].starts_with(&format!("{name}: ")), "{faults:?}");
    }
}

#[test]
fn mail_has_a_server_and_a_sender_or_neither() {
    let url = ("SMTP_URL", "smtps://ann:hunter2@mail.example.com");
    let from = ("EMAIL_FROM", "Billing <billing@example.com>");
    let reply_to = ("EMAIL_REPLY_TO", "help@example.com");
    assert!(config(&[]).unwrap().mail.is_none());
    let both = config(&[url, from]).unwrap().mail.unwrap();
    assert_eq!(both.from, from.1);
    assert_eq!((both.reply_to, both.timeout.as_secs()), (None, 30));
    let all = config(&[url, from, reply_to]).unwrap().mail.unwrap();
    assert_eq!(all.reply_to.as_deref(), Some(reply_to.1));

    for (alone, missing) in [(url, "EMAIL_FROM"), (from, "SMTP_URL")] {
        let faults = config(&[alone, reply_to]).unwrap_err().faults;
        assert_eq!(faults.len(), 1, "{faults:?}");
        let begin = format!("{missing}: is not set, and {} is", alone.0);
        assert!(faults[0].starts_with(&begin), "{faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }
    let faults = config(&[reply_to]).unwrap_err().faults;
    assert!(faults[0].starts_with("EMAIL_REPLY_TO: "), "{faults:?}");
    let open = ("SMTP_URL", "smtp://ann:hunter2@mail.example.com?tls=none");
    let faults = config(&[open, from]).unwrap_err().faults;
    assert!(faults[0].contains("unencrypted"), "{faults:?}");
}

#[test]
fn secrets_are_not_printed() {
    let hidden = "5ec4e7".repeat(11);
    let key = &hidden[..64];
    let config = config(&[
        ("DATABASE_URL", &format!("postgres://me:{hidden}@db/x")),
        ("ENCRYPTION_KEY", &format!("b:{key}")),
        ("LEGACY_ENCRYPTION_KEY", key),
        ("JWT_SECRET", &hidden),
        ("STRIPE_SECRET_KEY", &format!("sk_live_{hidden}")),
        (
            "STRIPE_WEBHOOK_SECRET",
            &format!("whsec_{hidden},whsec_2{hidden}"),
        ),
        ("TWILIO_AUTH_TOKEN", &hidden),
        ("VOIPMS_CALLBACK_TOKENS", &hidden),
        (
            "SMTP_URL",
            &format!("smtps://ann:{hidden}@mail.example.com"),
        ),
        ("EMAIL_FROM", "billing@example.com"),
    ])
    .unwrap();
    assert!(!format!("{config:?}").contains("5ec4e7"), "{config:?}");
}

#[test]
fn the_public_address_is_read_under_each_of_its_names() {
    let url = |pairs: &[(&str, &str)]| config(pairs).unwrap().public_base_url;
    assert_eq!(url(&[("PORT", "4000")]), "http://localhost:4000");
    assert_eq!(
        url(&[("BASE_URL", "https://c.example/")]),
        "https://c.example"
    );
    assert_eq!(
        url(&[
            ("BASE_URL", "https://c.example"),
            ("WEBHOOK_BASE_URL", "https://b.example")
        ]),
        "https://b.example"
    );
    let all = [
        ("BASE_URL", "https://c.example"),
        ("WEBHOOK_BASE_URL", "https://b.example"),
        ("PUBLIC_BASE_URL", "https://a.example"),
    ];
    assert_eq!(url(&all), "https://a.example");
    let wrong = config(&[("BASE_URL", "c.example")]).unwrap_err();
    assert!(wrong.faults[0].starts_with("BASE_URL: "), "{wrong}");
}

#[test]
fn lists_are_split_at_commas_and_an_empty_value_is_unset() {
    let config = config(&[
        ("STRIPE_WEBHOOK_SECRET", "whsec_a, whsec_b,"),
        ("VOIPMS_CALLBACK_ADDRESSES", "192.0.2.1,2001:db8::1"),
        ("NUMBER_AREA_CODES", "415,628"),
        ("PORT", " "),
        ("DATABASE_URL", ""),
        ("STRIPE_PRICE_AI_SECRETARY", "price_1"),
        ("STRIPE_REPX1_MONTHLY_PRICE_ID", ""),
    ])
    .unwrap();
    assert_eq!(config.stripe.webhook_secrets.len(), 2);
    assert_eq!(config.voipms.callback_addresses.len(), 2);
    assert_eq!(config.telephony.area_codes, ["415", "628"]);
    assert_eq!(config.port, 3000);
    assert!(config.database_url.is_none());
    assert_eq!(
        config.price_ids,
        variables(&[("STRIPE_PRICE_AI_SECRETARY", "price_1")])
    );
}

#[test]
fn what_real_use_needs_is_named_until_it_is_there() {
    let names = |pairs: &[(&str, &str)]| -> Vec<_> {
        config(pairs)
            .unwrap()
            .missing()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    let key = "ab".repeat(32);
    let all = [
        ("PUBLIC_BASE_URL", "https://hooks.example"),
        ("ENCRYPTION_KEY", &key),
        ("STRIPE_SECRET_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_AUTH_TOKEN", "t"),
    ];
    assert_eq!(names(&[]), all.map(|(name, _)| name));
    assert_eq!(names(&all), Vec::<&str>::new());
}
