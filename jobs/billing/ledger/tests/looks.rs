//! Whatever happened to an invoice, and whenever somebody looked, the ledger ends alike.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Of so many hundredths of what is to be paid.
    Credit(i64),
    TakeCreditBack,
    Mark,
    Pay,
    Void,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..100i64).prop_map(Step::Credit),
        1 => Just(Step::TakeCreditBack),
        1 => Just(Step::Mark),
        1 => Just(Step::Pay),
        1 => Just(Step::Void),
    ]
}

/// How Stripe goes on with an invoice; what cannot be done then is not done.
fn go_on(facts: &mut InvoiceFacts, step: Step, second: i64) {
    if facts.paid_at.is_some() || facts.voided_at.is_some() {
        return;
    }
    let credited = facts
        .credits
        .iter()
        .filter(|credit| credit.voided_at.is_none());
    let credited: i64 = credited.map(|credit| credit.unpaid_minor).sum();
    let due = facts.total_minor - facts.from_balance_minor - credited;
    match step {
        Step::Credit(share) if due > 0 => {
            let number = facts.credits.len() as i64;
            let mut credit = credit(second, due * share / 100);
            credit.credit_ref += &format!("_{number}");
            facts.credits.push(credit);
        }
        Step::TakeCreditBack => {
            let standing = |credit: &&mut Credit| credit.voided_at.is_none();
            if let Some(credit) = facts.credits.iter_mut().find(standing) {
                credit.voided_at = Some(at(second));
            }
        }
        Step::Mark => {
            facts.marked_uncollectible_at.get_or_insert(at(second));
        }
        Step::Pay => (facts.paid_minor, facts.paid_at) = (due, Some(at(second))),
        Step::Void => facts.voided_at = Some(at(second)),
        Step::Credit(_) => {}
    }
}

fn balances(postings: &[Posting]) -> BTreeMap<Account, i64> {
    let mut balances = BTreeMap::new();
    for entry in postings.iter().flat_map(|posting| &posting.entries) {
        *balances.entry(entry.account).or_default() += entry.amount_minor;
    }
    balances.retain(|_, balance| *balance != 0);
    balances
}

proptest! {
    #[test]
    fn however_often_one_looked_the_same_is_entered_and_nobody_owes_what_was_paid(
        total in -3000..6000i64,
        usage in -500..2000i64,
        balance in -4000..4000i64,
        steps in prop::collection::vec((step(), 0..3i64, 0..3usize), 0..8),
    ) {
        let mut facts = invoice(total, usage);
        // As Stripe applies a balance: a debt is added to what is due, a credit taken off, never below nothing.
        let due = (total + balance).max(0);
        facts.from_balance_minor = total - due;
        let mut second = 1;
        let mut looked: Vec<Posting> = Vec::new();
        for (step, pause, looks) in &steps {
            second += pause;
            go_on(&mut facts, *step, second);
            // What is credited within the same second was credited before.
            second += i64::from(matches!(step, Step::Mark));
            for _ in 0..*looks {
                let more = of_invoice(&facts, &posted(&looked)).unwrap();
                looked.extend(more);
            }
        }
        looked.extend(of_invoice(&facts, &posted(&looked)).unwrap());
        for posting in &looked {
            let sum: i64 = posting.entries.iter().map(|entry| entry.amount_minor).sum();
            prop_assert_eq!(sum, 0, "{}", text(posting));
            prop_assert!(posting.entries.iter().all(|entry| entry.amount_minor != 0));
        }

        let mut at_once = of_invoice(&facts, &Posted::default()).unwrap();
        let name = |posting: &Posting| (posting.kind, posting.subject.clone());
        looked.sort_by_key(name);
        at_once.sort_by_key(name);
        prop_assert_eq!(&looked, &at_once);

        let balances = balances(&looked);
        let credited: i64 = facts
            .credits
            .iter()
            .filter(|credit| credit.voided_at.is_none())
            .map(|credit| credit.unpaid_minor)
            .sum();
        let of = |account| balances.get(&account).copied().unwrap_or(0);
        let is_marked = facts.marked_uncollectible_at.is_some();
        let is_over = facts.paid_at.is_some() || facts.voided_at.is_some();
        let open = if is_marked || is_over { 0 } else { total - credited };
        let written_off = if is_marked && !is_over { due - credited } else { 0 };
        prop_assert_eq!(of(Account::Receivable), open);
        prop_assert_eq!(of(Account::BadDebt), written_off);
        prop_assert_eq!(of(Account::Cash), facts.paid_minor);
        if facts.voided_at.is_some() {
            prop_assert_eq!(balances, BTreeMap::new());
        } else {
            prop_assert_eq!(of(Account::UsageRevenue), -usage);
            prop_assert_eq!(of(Account::CreditNotes), credited);
            let moved = if is_marked || is_over { facts.from_balance_minor } else { 0 };
            prop_assert_eq!(of(Account::CustomerBalance), moved);
        }
    }
}
