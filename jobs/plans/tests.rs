use super::*;

fn built_in() -> Catalogue {
    Catalogue::load(BUILT_IN, |setting| {
        Some(format!("price_{}", setting.to_ascii_lowercase()))
    })
    .unwrap()
}

fn check_limit(tier: &str, feature: &str, max: Quantity, per: Window) {
    assert_eq!(
        built_in().tier(tier).unwrap().limits[feature],
        Limit { max, per },
        "{tier} {feature}"
    );
}

#[test]
fn the_limits_are_those_of_the_contract() {
    check_limit("free", "ai_queries", Quantity::Units(10), Window::Cycle);
    check_limit("repx1", "calls", Quantity::Units(100), Window::Cycle);
    check_limit("repx2", "emails", Quantity::Units(50), Window::Day);
    check_limit("repx3", "canvas_scans", Quantity::Units(25), Window::Day);
    check_limit(
        "repx4",
        "transcriptions",
        Quantity::Units(800),
        Window::Cycle,
    );
    check_limit("repx5", "calls", Quantity::Unlimited, Window::Cycle);
    check_limit("ai_buddy", "emails", Quantity::Units(100), Window::Day);
    let secretary = built_in().tier("ai_secretary").unwrap().clone();
    assert_eq!(secretary.overage["voice_minutes"], [Step::flat(13_000)]);
    assert_eq!(secretary.overage["sms"], [Step::flat(7_500)]);
    assert_eq!(secretary.number_fee_minor, 500);
}

#[test]
fn a_number_comes_with_every_paid_tier() {
    let with_number: Vec<String> = built_in()
        .tiers()
        .iter()
        .filter(|tier| tier.auto_provision_number)
        .map(|tier| tier.id.clone())
        .collect();
    assert_eq!(
        with_number,
        [
            "repx1",
            "repx2",
            "repx3",
            "repx4",
            "repx5",
            "ai_secretary",
            "ai_project_manager",
            "ai_cto"
        ]
    );
}

#[test]
fn a_tier_follows_from_its_price_alone() {
    let catalogue = built_in();
    let tier = catalogue.tier_of_price("price_stripe_repx3_annual_price_id");
    assert_eq!(tier.unwrap().id, "repx3");
    assert!(catalogue.tier_of_price("repx3").is_none());
    assert!(catalogue.tier_of_price("").is_none());
}

#[test]
fn one_name_means_what_its_product_says() {
    let catalogue = built_in();
    for (product, name, id) in [
        ("repx", "repx0", "free"),
        ("ai", "free", "ai_buddy"),
        ("repx", "free", "free"),
        ("repx", "enterprise", "repx5"),
        ("ai", "enterprise", "ai_cto"),
        ("repx", "Premium", "repx3"),
    ] {
        assert_eq!(catalogue.tier_named(product, name).unwrap().id, id);
    }
    assert!(catalogue.tier_named("repx", "platinum").is_none());
}

#[test]
fn an_unset_price_sells_nothing() {
    let catalogue = Catalogue::load(BUILT_IN, |_| Some("  ".into())).unwrap();
    assert!(catalogue.tier_of_price("").is_none());
    assert!(catalogue.tier_of_price("  ").is_none());
}

#[test]
fn all_faults_are_told_at_once() {
    let broken = BUILT_IN
        .replace("id = \"repx2\"", "id = \"repx1\"")
        .replace("sms = 7500", "sms = -1")
        .replace("id = \"canvas_scans\"", "id = \"number\"")
        .replace("limits.calls = { max = 800", "limits.cals = { max = 800");
    let faults = Catalogue::load(&broken, |_| Some("price_one".into())).unwrap_err();
    for fault in [
        "id is used twice",
        "sms: a rate is zero or more, not -1",
        "feature number: the name is that of phone numbers",
        "already sold",
        "there is no feature cals",
    ] {
        assert!(
            faults.iter().any(|text| text.contains(fault)),
            "{fault}: {faults:?}"
        );
    }
}

#[test]
fn of_several_subscriptions_the_best_running_one_counts() {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    let check = |subscriptions: &[(&str, Option<&str>)], counts| {
        assert_eq!(
            catalogue.counting(subscriptions),
            counts,
            "{subscriptions:?}"
        );
    };
    check(&[], None);
    check(
        &[("canceled", Some("repx5")), ("active", Some("repx1"))],
        Some(1),
    );
    check(
        &[("active", Some("repx1")), ("trialing", Some("repx3"))],
        Some(1),
    );
    check(&[("past_due", Some("repx5")), ("active", None)], Some(1));
    check(
        &[("active", Some("repx2")), ("active", Some("repx2"))],
        Some(0),
    );
    check(&[("canceled", Some("repx1")), ("unpaid", None)], Some(0));
}

fn with_overage(written: &str) -> Result<Catalogue, Vec<String>> {
    let toml = BUILT_IN.replace(
        "voice_minutes = 13000",
        &format!("voice_minutes = {written}"),
    );
    Catalogue::load(&toml, |_| None)
}

#[test]
fn a_rate_may_fall_from_step_to_step() {
    let catalogue = with_overage("[{ up_to = 1000, rate = 13000 }, { rate = 10000 }]").unwrap();
    let steps = &catalogue.tier("ai_secretary").unwrap().overage["voice_minutes"];
    let up_to_a_thousand = Step {
        up_to: Some(1_000),
        ..Step::flat(13_000)
    };
    assert_eq!(*steps, [up_to_a_thousand, Step::flat(10_000)]);
}

#[test]
fn steps_that_leave_a_unit_without_one_price_are_refused() {
    for (written, fault) in [
        ("[]", "no step"),
        (
            "[{ up_to = 1000, rate = 1 }]",
            "the last step has no `up_to`",
        ),
        (
            "[{ rate = 1 }, { rate = 2 }]",
            "only the last step has no `up_to`",
        ),
        (
            "[{ up_to = 5, rate = 1 }, { up_to = 5, rate = 2 }, { rate = 3 }]",
            "a step ends after the one before it: 5 after 5",
        ),
        ("[{ up_to = 0, rate = 1 }, { rate = 3 }]", "0 after 0"),
        ("[{ up_to = 5, rate = -1 }, { rate = 3 }]", "not -1"),
        ("\"13000\"", "a rate or a list of steps"),
        ("0.013", "a rate or a list of steps"),
        (
            "[{ upto = 5, rate = 1 }, { rate = 3 }]",
            "unknown field `upto`",
        ),
    ] {
        let faults = with_overage(written).unwrap_err();
        assert!(
            faults.iter().any(|text| text.contains(fault)),
            "{written}: {faults:?}"
        );
    }
}
