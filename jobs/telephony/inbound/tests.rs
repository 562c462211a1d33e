use super::*;

const CALLER: &str = "+14155550199";
const OURS: &str = "+14155550100";
const COLLEAGUE: &str = "+14155550177";

fn settings(stored: &str) -> Settings {
    serde_json::from_str(stored).unwrap()
}

fn check(stored: &str, expected: Next<'_>) {
    let call = Call {
        from: Some(CALLER),
        to: Some(OURS),
        ours: &[],
        minutes_left: None,
    };
    check_call(stored, &call, expected);
}

fn check_call(stored: &str, call: &Call<'_>, expected: Next<'_>) {
    let countries = ["US".to_owned(), "CA".to_owned()];
    let house = House {
        greeting: "Hello!",
        sms_reply: "Thank you.",
        countries: &countries,
    };
    assert_eq!(
        answer(&settings(stored), call, &house),
        expected,
        "{stored}"
    );
}

fn recorded(text: &str, seconds_max: u16) -> Next<'_> {
    Next::Record { text, seconds_max }
}

#[test]
fn without_settings_the_caller_is_greeted_and_recorded() {
    check("{}", recorded("Hello!", 3600));
    check(r#"{"greeting": "Ahoy"}"#, recorded("Ahoy", 3600));
    check(
        r#"{"reject_calls": true, "greeting": "Ahoy"}"#,
        Next::Reject,
    );
}

#[test]
fn who_is_not_recorded_is_not_told_so_and_leaves_no_message() {
    check(r#"{"recording": false}"#, Next::Say(NOT_TAKEN));
    check(
        r#"{"recording": false, "greeting": "Ahoy"}"#,
        Next::Say("Ahoy"),
    );
    // As a number's and an account's settings may add up to.
    check(
        r#"{"recording": false, "voicemail": {"enabled": true}, "greeting": "Ahoy"}"#,
        Next::Say("Ahoy"),
    );
    check(
        r#"{"voicemail": {"enabled": true, "text": "Speak."}, "greeting": "Ahoy"}"#,
        recorded("Speak.", 120),
    );
    check(
        r#"{"voicemail": {"enabled": false, "text": "Speak."}}"#,
        recorded("Hello!", 3600),
    );
}

#[test]
fn a_call_is_put_through_but_never_back() {
    let forwarded = |to: &str| {
        format!(r#"{{"forwarding": {{"enabled": true, "number": "{to}", "timeout_seconds": 20}}}}"#)
    };
    let number: E164 = COLLEAGUE.parse().unwrap();
    let dial = Next::Dial {
        number: &number,
        rings_for: 20,
        seconds_max: None,
    };
    check(&forwarded(COLLEAGUE), dial);
    for back in [CALLER, OURS, "+4930123456"] {
        check(&forwarded(back), Next::Say(NOT_COMPLETED));
    }
    let answered_here = [COLLEAGUE.to_owned()];
    // And the caller, as another exchange writes it.
    for (from, ours) in [(CALLER, &answered_here[..]), ("4155550177", &[])] {
        let call = Call {
            from: Some(from),
            to: Some(OURS),
            ours,
            minutes_left: None,
        };
        check_call(&forwarded(COLLEAGUE), &call, Next::Say(NOT_COMPLETED));
    }
    check(
        r#"{"forwarding": {"enabled": true}, "voicemail": {"enabled": true}}"#,
        recorded(VOICEMAIL, 120),
    );
    check(
        &forwarded(COLLEAGUE).replace("true", "false"),
        recorded("Hello!", 3600),
    );
}

#[test]
fn a_call_is_put_through_for_as_long_as_there_is_money_and_not_without() {
    let plain = r#"{"forwarding": {"enabled": true, "number": "+14155550177"}}"#;
    let with = r#"{"forwarding": {"enabled": true, "number": "+14155550177"}, "voicemail": {"enabled": true}}"#;
    let number: E164 = COLLEAGUE.parse().unwrap();
    let dial = |seconds_max| Next::Dial {
        number: &number,
        rings_for: 30,
        seconds_max,
    };
    for (minutes_left, stored, expected) in [
        (None, plain, dial(None)),
        (Some(u32::MAX), plain, dial(None)),
        (Some(240), plain, dial(None)),
        (Some(239), plain, dial(Some(239 * 60))),
        (Some(1), plain, dial(Some(60))),
        (Some(0), plain, Next::Say(NOT_COMPLETED)),
        (Some(0), with, recorded(VOICEMAIL, 120)),
    ] {
        let call = Call {
            from: Some(CALLER),
            to: Some(OURS),
            ours: &[],
            minutes_left,
        };
        check_call(stored, &call, expected);
    }
}

#[test]
fn who_was_not_reached_may_leave_a_message_or_is_told() {
    let with = r#"{"forwarding": {"enabled": true, "number": "+14155550177"}, "voicemail": {"enabled": true}}"#;
    let without = r#"{"forwarding": {"enabled": true, "number": "+14155550177"}}"#;
    for (outcome, stored, expected) in [
        ("completed", with, Next::Hangup),
        ("answered", with, Next::Hangup),
        ("no-answer", with, recorded(VOICEMAIL, 120)),
        ("busy", with, recorded(VOICEMAIL, 120)),
        ("no-answer", without, Next::Say(NOT_COMPLETED)),
        ("failed", without, Next::Say(NOT_COMPLETED)),
        ("completed", without, Next::Hangup),
        ("no-answer", "{}", Next::Hangup),
    ] {
        assert_eq!(
            after_dial(&settings(stored), outcome),
            expected,
            "{outcome}"
        );
    }
}

#[test]
fn a_message_is_answered_as_its_number_wants_it() {
    let house = |sms_reply| House {
        greeting: "Hello!",
        sms_reply,
        countries: &[],
    };
    for (enabled, text, sms_reply, expected) in [
        (true, Some("Later."), "Thank you.", Some("Later.")),
        (true, Some("Later."), "", Some("Later.")),
        (true, None, "Thank you.", Some("Thank you.")),
        (true, None, "", None),
        (false, Some("Later."), "Thank you.", None),
    ] {
        let settings = Settings {
            auto_response: Some(Text {
                enabled,
                text: text.map(str::to_owned),
            }),
            ..Settings::default()
        };
        assert_eq!(reply(&settings, &house(sms_reply)), expected);
        assert_eq!(own_reply(&settings, &house(sms_reply)), expected);
    }
    let own = Settings::default();
    assert_eq!(own_reply(&own, &house("Thank you.")), None);
    assert_eq!(reply(&own, &house("Thank you.")), Some("Thank you."));
    assert_eq!(reply(&own, &house("")), None);
}

/// Nothing that is left out means anything else than what is shown in its place.
#[test]
fn settings_that_are_spelled_out_mean_the_same() {
    let countries = ["US".to_owned()];
    let house = House {
        greeting: "Hello!",
        sms_reply: "Thank you.",
        countries: &countries,
    };
    let call = Call {
        from: Some(CALLER),
        to: Some(OURS),
        ours: &[],
        minutes_left: None,
    };
    for stored in [
        "{}",
        r#"{"greeting": "Ahoy", "auto_response": {"enabled": false}}"#,
        r#"{"voicemail": {"enabled": true}}"#,
        r#"{"forwarding": {"enabled": true, "number": "+14155550177"}, "auto_response": {"enabled": true}}"#,
        r#"{"reject_calls": true}"#,
        r#"{"recording": false}"#,
    ] {
        let short = settings(stored);
        let long = spelled_out(short.clone(), &house);
        let both = [&short, &long];
        let [a, b] = both.map(|one| (answer(one, &call, &house), reply(one, &house)));
        assert_eq!(a, b, "{stored}");
    }
}
