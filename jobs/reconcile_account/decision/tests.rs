use super::*;

fn wanted(charge_id: &str, amount_minor: i64) -> Wanted {
    Wanted {
        charge_id: charge_id.into(),
        item_ref: format!("ii_of_{charge_id}"),
        amount_minor,
        currency: "usd".into(),
    }
}

fn line(charge_id: &str, amount_minor: i64) -> Line {
    Line {
        item_ref: format!("ii_of_{charge_id}"),
        charge_id: charge_id.into(),
        amount_minor,
        currency: "usd".into(),
    }
}

fn ours(status: &str, wanted: Vec<Wanted>) -> OurInvoice {
    OurInvoice {
        invoice_id: Uuid::nil(),
        invoice_ref: "in_1".into(),
        customer_ref: "cus_1".into(),
        currency: "usd".into(),
        status: status.into(),
        is_settled: true,
        wanted,
    }
}

fn theirs(status: &str, lines: Vec<Line>) -> TheirInvoice {
    TheirInvoice {
        invoice_ref: "in_1".into(),
        customer_ref: "cus_1".into(),
        currency: "usd".into(),
        status: status.into(),
        says_it_is: None,
        lines,
    }
}

fn facts(ours: Option<OurInvoice>, theirs: Option<TheirInvoice>) -> Facts {
    Facts {
        ours: ours.into_iter().collect(),
        theirs: theirs.into_iter().collect(),
        ..Facts::default()
    }
}

/// What was found, as findings tell it.
fn told(plan: &Plan) -> Vec<String> {
    let all = plan.drifted.iter().flat_map(|one| &one.differences);
    all.map(|drift| {
        let json = serde_json::to_value(drift).unwrap();
        json["what"].as_str().unwrap().to_owned()
    })
    .collect()
}

#[track_caller]
fn check(facts: &Facts, drifts: &[&str], compare: usize, record: usize) {
    let plan = decide(facts);
    assert_eq!(told(&plan), drifts, "{plan:?}");
    let asked = (plan.compare.len(), plan.record.len());
    assert_eq!(asked, (compare, record), "{plan:?}");
}

#[test]
fn books_that_agree_ask_for_nothing() {
    for status in ["draft", "open", "paid", "void", "uncollectible"] {
        let ours = ours(status, vec![wanted("a", 10), wanted("b", -4)]);
        let theirs = theirs(status, vec![line("b", -4), line("a", 10)]);
        check(&facts(Some(ours), Some(theirs)), &[], 0, 0);
    }
    check(&facts(Some(ours("deleted", vec![])), None), &[], 0, 0);
}

#[test]
fn every_difference_of_a_final_invoice_is_told_with_both_sums() {
    let ours = ours("paid", vec![wanted("a", 10), wanted("b", 20)]);
    let doubled = Line {
        item_ref: "ii_2".into(),
        ..line("a", 10)
    };
    let lines = vec![line("a", 11), doubled, line("z", 5)];
    let plan = decide(&facts(Some(ours), Some(theirs("paid", lines))));
    assert_eq!(told(&plan), ["missing", "altered", "doubled", "foreign"]);
    let drifted = &plan.drifted[0];
    assert_eq!((drifted.ours_minor, drifted.theirs_minor), (30, 26));
    assert_eq!(plan.looked_at, ["in_1"]);
}

#[test]
fn a_draft_is_repaired_unless_the_account_is_parked() {
    let mut facts = facts(
        Some(ours("draft", vec![])),
        Some(theirs("draft", vec![line("z", 5)])),
    );
    check(&facts, &[], 1, 0);
    facts.is_parked = true;
    check(&facts, &["foreign"], 0, 0);
}

#[test]
fn what_a_parked_draft_did_not_get_yet_is_no_drift_and_what_it_lost_is() {
    let not_put_there = Wanted {
        item_ref: String::new(),
        ..wanted("a", 10)
    };
    let mut facts = facts(
        Some(ours("draft", vec![not_put_there])),
        Some(theirs("draft", vec![])),
    );
    facts.is_parked = true;
    check(&facts, &[], 0, 0);
    facts.ours[0].wanted = vec![wanted("a", 10)];
    check(&facts, &["missing"], 0, 0);
    // A final one gets nothing any more.
    let gone = Wanted {
        item_ref: String::new(),
        ..wanted("a", 10)
    };
    facts.ours = vec![ours("paid", vec![gone])];
    facts.theirs = vec![theirs("paid", vec![])];
    check(&facts, &["missing"], 0, 0);
}

#[test]
fn what_somebody_is_working_on_is_no_drift() {
    let now = DateTime::UNIX_EPOCH;
    let long_ago = now - WORKED_ON_FOR;
    assert!(is_settled(false, true, now, now));
    assert!(is_settled(false, false, long_ago, now));
    let a_moment = TimeDelta::seconds(1);
    assert!(!is_settled(false, false, long_ago + a_moment, now));
    assert!(!is_settled(true, true, long_ago, now));

    let mut ours = ours("paid", vec![wanted("a", 10)]);
    ours.is_settled = false;
    let plan = decide(&facts(Some(ours), Some(theirs("paid", vec![]))));
    assert_eq!(plan, Plan::default());
}

#[test]
fn books_that_are_behind_are_brought_up_to_date() {
    let paid = || Some(theirs("paid", vec![]));
    check(&facts(Some(ours("open", vec![])), paid()), &[], 0, 1);
    check(&facts(Some(ours("deleted", vec![])), paid()), &[], 0, 1);
    check(&facts(Some(ours("draft", vec![])), None), &[], 0, 1);
    check(&facts(None, paid()), &[], 0, 1);
}

#[test]
fn an_invoice_that_is_gone_or_anothers_is_a_drift() {
    let paid = || Some(ours("paid", vec![]));
    check(&facts(paid(), None), &["invoice_gone"], 0, 0);
    let mut anothers = theirs("paid", vec![]);
    anothers.customer_ref = "cus_2".into();
    anothers.currency = "eur".into();
    check(
        &facts(paid(), Some(anothers)),
        &["other_customer", "other_currency"],
        0,
        0,
    );
}

#[test]
fn what_says_it_is_ours_and_is_not_is_a_drift_wherever_it_stands() {
    let foreign = theirs("open", vec![line("z", 5)]);
    check(&facts(None, Some(foreign.clone())), &["foreign"], 0, 1);
    check(
        &facts(None, Some(theirs("draft", vec![line("z", 5)]))),
        &[],
        0,
        1,
    );
    let mut of_others = facts(None, Some(foreign));
    of_others.of_others = BTreeSet::from(["in_1".to_owned()]);
    check(&of_others, &[], 0, 0);

    let mut invoice = theirs("draft", vec![]);
    invoice.says_it_is = Some("an id".into());
    let mut made_just_now = facts(None, Some(invoice));
    check(&made_just_now, &["invoice_foreign"], 0, 0);
    made_just_now.planned = BTreeSet::from(["an id".to_owned()]);
    check(&made_just_now, &[], 0, 0);

    let pending = Facts {
        pending: vec![line("a", 10)],
        ..Facts::default()
    };
    check(&pending, &["line_pending"], 0, 0);
}
