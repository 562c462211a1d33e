use proptest::{option, prelude::*};
use serde_json::json;

use super::*;

const OWN: &str = "+14155550100";

fn number(text: &str) -> Option<E164> {
    Some(text.parse().unwrap())
}

fn forwarded(to: &str) -> Settings {
    Settings {
        forwarding: Some(Forwarding {
            enabled: true,
            number: number(to),
            timeout_seconds: None,
        }),
        ..Settings::default()
    }
}

fn on(text: &str) -> Option<Text> {
    Some(Text {
        enabled: true,
        text: Some(text.to_owned()),
    })
}

fn check(settings: Settings, expected: Option<&str>) {
    let countries = ["US".to_owned(), "CA".to_owned()];
    let found = settings.check(&[OWN.to_owned()], &countries);
    let code = found.err().map(|fault| fault.code);
    assert_eq!(code, expected, "{settings:?}");
}

#[test]
fn what_cannot_be_said_is_refused_by_its_name() {
    let greeting = |text: &str| Settings {
        greeting: Some(text.to_owned()),
        ..Settings::default()
    };
    check(Settings::default(), None);
    check(greeting("Hello <there> & \"you\"\nÉ"), None);
    check(greeting(&"é".repeat(1000)), None);
    for bad in ["", " \n", "\u{0}", "bell\u{7}", &"é".repeat(1001)] {
        check(greeting(bad), Some("INVALID_GREETING"));
    }
    let voicemail = on(&"x".repeat(1001));
    check(
        Settings {
            voicemail,
            ..Settings::default()
        },
        Some("INVALID_VOICEMAIL_TEXT"),
    );
    let auto_response = on(&"x".repeat(1601));
    check(
        Settings {
            auto_response,
            ..Settings::default()
        },
        Some("INVALID_AUTO_RESPONSE_TEXT"),
    );
    check(
        Settings {
            voicemail: on("Speak."),
            recording: Some(false),
            ..Settings::default()
        },
        Some("VOICEMAIL_NEEDS_RECORDING"),
    );
}

#[test]
fn a_call_is_forwarded_to_nobody_who_would_send_it_back_or_costs_a_fortune() {
    check(forwarded("+14155550177"), None);
    check(forwarded(OWN), Some("FORWARDING_LOOP"));
    check(forwarded("+4930123456"), Some("COUNTRY_NOT_ALLOWED"));
    for (enabled, number, timeout_seconds, expected) in [
        (true, None, None, Some("FORWARDING_NUMBER_REQUIRED")),
        (false, None, None, None),
        (false, number(OWN), None, Some("FORWARDING_LOOP")),
        (
            true,
            number("+14155550177"),
            Some(4),
            Some("INVALID_FORWARDING_TIMEOUT"),
        ),
        (true, number("+14155550177"), Some(5), None),
        (true, number("+14155550177"), Some(60), None),
        (
            true,
            number("+14155550177"),
            Some(61),
            Some("INVALID_FORWARDING_TIMEOUT"),
        ),
    ] {
        let forwarding = Some(Forwarding {
            enabled,
            number,
            timeout_seconds,
        });
        check(
            Settings {
                forwarding,
                ..Settings::default()
            },
            expected,
        );
    }
}

#[test]
fn what_was_stored_once_is_read_for_ever_whatever_is_added_to_it() {
    let stored = json!({
        "greeting": "Hello.", "recording": false, "voicemail": {"enabled": false},
        "forwarding": {"enabled": true, "number": "+14155550177", "timeout_seconds": 20},
        "auto_response": {"enabled": true, "text": "Later."}, "reject_calls": false,
    });
    let settings: Settings = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&settings).unwrap(), stored);
    let newer = json!({"music": "none", "greeting": "Hello."});
    assert_eq!(
        serde_json::from_value::<Settings>(newer).unwrap().greeting,
        Some("Hello.".to_owned())
    );
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let text = || {
        option::of((any::<bool>(), option::of("[a-z]{1,3}")))
            .prop_map(|text| text.map(|(enabled, text)| Text { enabled, text }))
    };
    let forwarding = option::of(any::<bool>()).prop_map(|on| {
        on.map(|enabled| Forwarding {
            enabled,
            number: number("+14155550177"),
            timeout_seconds: None,
        })
    });
    let flags = (option::of(any::<bool>()), option::of(any::<bool>()));
    (option::of("[a-z]{1,3}"), flags, text(), text(), forwarding).prop_map(
        |(greeting, (recording, reject_calls), voicemail, auto_response, forwarding)| Settings {
            greeting,
            recording,
            voicemail,
            forwarding,
            auto_response,
            reject_calls,
        },
    )
}

proptest! {
    #[test]
    fn the_narrower_settings_win_and_nothing_is_no_settings(
        a in any_settings(), b in any_settings(), c in any_settings(),
    ) {
        prop_assert_eq!(a.clone().over(Settings::default()), a.clone());
        prop_assert_eq!(Settings::default().over(a.clone()), a.clone());
        prop_assert_eq!(a.clone().over(a.clone()), a.clone());
        let left = a.clone().over(b.clone()).over(c.clone());
        prop_assert_eq!(&left, &a.clone().over(b.clone().over(c)));
        let expected = a.greeting.or(b.greeting);
        if expected.is_some() {
            prop_assert_eq!(left.greeting, expected);
        }
    }
}
