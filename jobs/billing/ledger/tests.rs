use chrono::TimeDelta;

use super::*;
use crate::stripe::DisputeStatus;

mod looks;

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

fn at(second: i64) -> DateTime<Utc> {
    NOW + TimeDelta::seconds(second)
}

/// Finalized at second 0, not paid.
fn invoice(total_minor: i64, usage_minor: i64) -> InvoiceFacts {
    InvoiceFacts {
        invoice_ref: "in_1".into(),
        total_minor,
        usage_minor,
        paid_minor: 0,
        from_balance_minor: 0,
        finalized_at: Some(at(0)),
        marked_uncollectible_at: None,
        paid_at: None,
        voided_at: None,
        credits: vec![],
    }
}

fn credit(second: i64, unpaid_minor: i64) -> Credit {
    Credit {
        credit_ref: format!("cn_{second}_{unpaid_minor}"),
        created_at: at(second),
        voided_at: None,
        unpaid_minor,
        to_balance_minor: 0,
        out_of_band_minor: 0,
    }
}

fn posted(postings: &[Posting]) -> Posted {
    let names = postings
        .iter()
        .map(|posting| (posting.kind.as_str().to_owned(), posting.subject.clone()));
    names.collect()
}

fn text(posting: &Posting) -> String {
    let entries = posting
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.account.as_str(), entry.amount_minor));
    let entries: Vec<String> = entries.collect();
    let (kind, subject) = (posting.kind.as_str(), &posting.subject);
    format!("{kind} {subject}: {}", entries.join(", "))
}

#[track_caller]
fn check(facts: &InvoiceFacts, expected: &[&str]) {
    let postings = of_invoice(facts, &Posted::default()).unwrap();
    let found: Vec<String> = postings.iter().map(text).collect();
    assert_eq!(found, expected);
    let again = of_invoice(facts, &posted(&postings)).unwrap();
    assert_eq!(again, [], "nothing twice");
}

const FINALIZED: &str =
    "finalized in_1: receivable 2980, usage_revenue -80, subscription_revenue -2900";

#[test]
fn a_draft_is_in_no_ledger_and_a_finalized_invoice_is_owed() {
    let draft = InvoiceFacts {
        finalized_at: None,
        ..invoice(2980, 80)
    };
    check(&draft, &[]);
    check(&invoice(2980, 80), &[FINALIZED]);
    check(
        &invoice(2900, 0),
        &["finalized in_1: receivable 2900, subscription_revenue -2900"],
    );
    check(&invoice(0, 0), &[]);
}

#[test]
fn what_is_paid_is_in_cash_or_was_in_the_customers_balance() {
    let paid = InvoiceFacts {
        paid_minor: 2480,
        from_balance_minor: 500,
        paid_at: Some(at(5)),
        ..invoice(2980, 80)
    };
    let entries = "paid in_1: cash 2480, customer_balance 500, receivable -2980";
    check(&paid, &[FINALIZED, entries]);
    // Too little to be charged: the customer owes it with the next one.
    let small = InvoiceFacts {
        from_balance_minor: 30,
        paid_at: Some(at(0)),
        ..invoice(30, 30)
    };
    check(
        &small,
        &[
            "finalized in_1: receivable 30, usage_revenue -30",
            "paid in_1: customer_balance 30, receivable -30",
        ],
    );
    let negative = InvoiceFacts {
        from_balance_minor: -20,
        paid_at: Some(at(0)),
        ..invoice(-20, -20)
    };
    check(
        &negative,
        &[
            "finalized in_1: receivable -20, usage_revenue 20",
            "paid in_1: customer_balance -20, receivable 20",
        ],
    );
}

#[test]
fn a_void_invoice_is_entered_the_other_way_round() {
    let voided = InvoiceFacts {
        voided_at: Some(at(9)),
        credits: vec![credit(5, 100)],
        ..invoice(2980, 80)
    };
    check(
        &voided,
        &[
            FINALIZED,
            "credited in_1:cn_5_100: credit_notes 100, receivable -100",
            "voided in_1: usage_revenue 80, subscription_revenue 2900, credit_notes -100, receivable -2880",
        ],
    );
}

#[test]
fn what_is_written_off_and_paid_after_all_is_no_bad_debt_any_more() {
    let marked = InvoiceFacts {
        from_balance_minor: 480,
        marked_uncollectible_at: Some(at(9)),
        credits: vec![credit(5, 100)],
        ..invoice(2980, 80)
    };
    let credited = "credited in_1:cn_5_100: credit_notes 100, receivable -100";
    let written_off =
        "marked_uncollectible in_1: bad_debt 2400, customer_balance 480, receivable -2880";
    check(&marked, &[FINALIZED, credited, written_off]);
    let paid = InvoiceFacts {
        paid_minor: 2400,
        paid_at: Some(at(9)),
        ..marked.clone()
    };
    let paid_entries = "paid in_1: cash 2400, bad_debt -2400";
    check(&paid, &[FINALIZED, credited, written_off, paid_entries]);
    let voided = InvoiceFacts {
        voided_at: Some(at(10)),
        ..marked
    };
    let voided_entries = "voided in_1: usage_revenue 80, subscription_revenue 2900, credit_notes -100, \
                          customer_balance -480, bad_debt -2400";
    check(&voided, &[FINALIZED, credited, written_off, voided_entries]);
}

#[test]
fn a_credit_note_on_what_was_paid_is_the_customers_and_a_void_one_is_not() {
    let note = Credit {
        to_balance_minor: 300,
        out_of_band_minor: 50,
        ..credit(9, 0)
    };
    let paid = InvoiceFacts {
        paid_minor: 2980,
        paid_at: Some(at(5)),
        credits: vec![note],
        ..invoice(2980, 80)
    };
    check(
        &paid,
        &[
            FINALIZED,
            "credited in_1:cn_9_0: credit_notes 350, customer_balance -300, cash -50",
            "paid in_1: cash 2980, receivable -2980",
        ],
    );
    let taken_back = Credit {
        voided_at: Some(at(7)),
        ..credit(5, 100)
    };
    let open = InvoiceFacts {
        credits: vec![taken_back],
        ..invoice(2980, 80)
    };
    check(
        &open,
        &[
            FINALIZED,
            "credited in_1:cn_5_100: credit_notes 100, receivable -100",
            "credit_voided in_1:cn_5_100: credit_notes -100, receivable 100",
        ],
    );
}

#[test]
fn lines_are_asked_for_only_while_something_depends_on_them() {
    let facts = invoice(2980, 80);
    let finalized = of_invoice(&facts, &Posted::default()).unwrap();
    let voided = InvoiceFacts {
        voided_at: Some(at(1)),
        ..facts.clone()
    };
    let paid = InvoiceFacts {
        paid_at: Some(at(1)),
        ..facts.clone()
    };
    assert!(needs_lines(&facts, &Posted::default()));
    assert!(!needs_lines(&facts, &posted(&finalized)));
    assert!(!needs_lines(&paid, &posted(&finalized)));
    assert!(needs_lines(&voided, &posted(&finalized)));
}

#[test]
fn amounts_beyond_all_sense_are_refused() {
    let facts = InvoiceFacts {
        usage_minor: i64::MIN,
        ..invoice(i64::MAX, 0)
    };
    let refused = of_invoice(&facts, &Posted::default());
    assert_eq!(refused, Err(MoneyError::Overflow));
}

fn refunded(refunded_minor: i64, posted_minor: i64, posted: &Posted) -> Option<Posting> {
    let refunds = Refunds {
        charge_ref: "ch_1",
        refunded_minor,
        posted_minor,
        seen_at: at(0),
    };
    of_refunds(&refunds, posted).unwrap()
}

#[test]
fn of_a_refund_the_difference_to_the_sum_before_is_entered() {
    let none = Posted::default();
    let check = |sum, before, expected: Option<&str>| {
        let found = refunded(sum, before, &none).as_ref().map(text);
        assert_eq!(found.as_deref(), expected);
    };
    check(0, 0, None);
    check(
        1000,
        0,
        Some("refunded ch_1:1000: refunds 1000, cash -1000"),
    );
    check(1000, 1000, None);
    check(
        2908,
        1000,
        Some("refunded ch_1:2908: refunds 1908, cash -1908"),
    );
    check(0, 500, Some("refund_failed ch_1:0: refunds -500, cash 500"));
}

#[test]
fn a_sum_that_was_refunded_before_and_came_back_is_another_transaction() {
    let first = refunded(500, 0, &Posted::default()).unwrap();
    let again = refunded(500, 0, &posted(&[first])).unwrap();
    assert_eq!(again.subject, "ch_1:500:2");
}

fn disputed(status: &str, posted: &Posted) -> Vec<Posting> {
    let dispute = Dispute {
        dispute_ref: "du_1",
        amount_minor: 2908,
        status: &DisputeStatus::from(status),
        created_at: at(0),
        seen_at: at(9),
    };
    of_dispute(&dispute, posted).unwrap()
}

#[test]
fn a_dispute_takes_what_was_paid_and_gives_it_back_or_not() {
    let created = "dispute_created du_1:created: disputes 2908, cash -2908";
    let won = "dispute_won du_1:won: cash 2908, disputes -2908";
    let lost = "dispute_lost du_1:lost: dispute_losses 2908, disputes -2908";
    for (status, expected) in [
        ("warning_needs_response", &[][..]),
        ("warning_closed", &[]),
        ("prevented", &[]),
        ("word_of_tomorrow", &[]),
        ("needs_response", &[created]),
        ("under_review", &[created]),
        ("won", &[created, won]),
        ("lost", &[created, lost]),
    ] {
        let at_once = disputed(status, &Posted::default());
        let found: Vec<String> = at_once.iter().map(text).collect();
        assert_eq!(found, expected, "{status}");
        let opened = posted(&disputed("needs_response", &Posted::default()));
        let later: Vec<String> = disputed(status, &opened).iter().map(text).collect();
        assert_eq!(later, expected.get(1..).unwrap_or_default(), "{status}");
    }
}
