use super::*;
use crate::{
    NewNotification,
    billing_notices::{
        self as notices,
        tests::{at, examples},
    },
    plans::BUILT_IN,
};

fn written(told: &NewNotification) -> Result<Mail, NoMail> {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    write(&told.kind, &told.data, &catalogue)
}

#[track_caller]
fn check(told: &NewNotification, subject: &str, body: &str) {
    let mail = written(told).unwrap();
    assert_eq!(mail.subject, subject);
    assert_eq!(mail.body, body);
}

#[test]
fn each_kind_has_its_words() {
    let [trial, upcoming, failed, receipt, cancelled, downgraded] = examples();
    check(
        &trial,
        "Your trial ends on 3 December 2026",
        "Your trial ends on 3 December 2026, 10:00 UTC.

Your paid subscription begins then. If you do not want it, cancel before that.
",
    );
    check(
        &upcoming,
        "Your next invoice is due on 20 November 2026",
        "Your next invoice is due on 20 November 2026, 11:00 UTC. It is for the period from 20 October 2026 to 20 November 2026.

Used beyond your plan so far: 5.80 USD

  Voice overage: 50 minutes @ $0.0130/min: 0.65 USD
  Phone number: 5.15 USD

Whatever else is used before the period ends is added.
",
    );
    check(
        &failed,
        "Your payment of 97.00 USD failed",
        "We tried to collect 97.00 USD for your invoice, and the payment failed.

We will try again on 23 November 2026, 10:00 UTC.
If it is not paid by 25 November 2026, 10:00 UTC, your phone number stops working.

Please look at how you pay: a card may have expired or been declined.
",
    );
    check(
        &receipt,
        "Receipt for invoice AB12-0001",
        "Thank you. We received 97.00 USD on 20 November 2026, 11:00 UTC.

Invoice number: AB12-0001
Your invoice: https://invoice.stripe.com/i/acct_1/live_1
",
    );
    check(
        &cancelled,
        "Your subscription ends on 20 December 2026",
        "Your subscription ends on 20 December 2026, 10:00 UTC and is not renewed. Until then everything stays as it is.

What was used beyond your plan until then is still invoiced.
",
    );
    check(
        &downgraded,
        "Your plan is now Rep¹ - Login",
        "Your plan changed from Rep³ to Rep¹ - Login on 20 November 2026, 10:00 UTC.

The limits of Rep¹ - Login apply since then.
",
    );
}

#[test]
fn what_there_is_nothing_to_say_about_leaves_no_gap() {
    let period = crate::usage::Span {
        starts_at: at("2026-10-20T10:00:00Z"),
        ends_at: at("2026-11-20T10:00:00Z"),
    };
    check(
        &notices::invoice_upcoming("ann", "sub_1", period, period.ends_at, 0, "jpy", &[]),
        "Your next invoice is due on 20 November 2026",
        "Your next invoice is due on 20 November 2026, 10:00 UTC. It is for the period from 20 October 2026 to 20 November 2026.

Nothing was used beyond your plan so far.

Whatever else is used before the period ends is added.
",
    );
    check(
        &notices::payment_failed("ann", "in_1", 4, 580, "jpy", None, None),
        "Your payment of 580 JPY failed",
        "We tried to collect 580 JPY for your invoice, and the payment failed.

We will not try again by ourselves.

Please look at how you pay: a card may have expired or been declined.
",
    );
    check(
        &notices::receipt("ann", "in_1", None, -5, "usd", period.ends_at, None),
        "Receipt for -0.05 USD",
        "Thank you. We received -0.05 USD on 20 November 2026, 10:00 UTC.\n",
    );
}

#[test]
fn a_kind_has_a_mail_if_and_only_if_it_has_a_template() {
    for told in examples() {
        assert!(has_template(&told.kind), "{}", told.kind);
        assert!(written(&told).is_ok(), "{}", told.kind);
        let data = serde_json::json!({ "userId": "ann" });
        let unreadable = NewNotification { data, ..told };
        assert_eq!(written(&unreadable), Err(NoMail::Unreadable));
    }
    for kind in ["usage.threshold", "test.ping", ""] {
        assert!(!has_template(kind), "{kind}");
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let none = write(kind, &serde_json::json!({}), &catalogue);
        assert_eq!(none, Err(NoMail::NoTemplate), "{kind}");
    }
}

#[test]
fn a_subject_is_one_line_whatever_is_put_into_it() {
    let number = "1\r\nBcc: all@example.com\r\n\r\nbody\u{85}\u{2028}{amount}\0";
    let paid_at = at("2026-11-20T10:00:00Z");
    let url = Some("https://a.test/\r\n.\r\nQUIT");
    let told = notices::receipt("ann", "in_1", Some(number), 1, "usd", paid_at, url);

    let mail = written(&told).unwrap();

    assert_eq!(
        mail.subject,
        "Receipt for invoice 1 Bcc: all@example.com body {amount}"
    );
    assert_eq!(mail.body.lines().count(), 4, "{}", mail.body);
    assert!(!mail.body.contains(['\r', '\0']), "{:?}", mail.body);
    let long = "9".repeat(10_000);
    let told = notices::receipt("ann", "in_1", Some(&long), 1, "usd", paid_at, None);
    assert_eq!(written(&told).unwrap().subject.chars().count(), LINE_MAX);
}

#[test]
fn no_template_names_a_value_that_nothing_fills() {
    for told in examples() {
        let mail = written(&told).unwrap();
        let text = format!("{}\n{}", mail.subject, mail.body);
        assert!(!text.contains(['{', '}']), "{text}");
    }
}
