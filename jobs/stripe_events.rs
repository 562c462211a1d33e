//! Which Stripe events lead to work. Everything else is stored, acknowledged and left alone.

/// What an event is about; the object itself is always fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Checkout,
    Subscription,
    Invoice,
    Customer,
    Charge,
    Refund,
    Dispute,
}

/// Every event type that is handled, one line each.
const HANDLED: [(&str, Subject); 29] = [
    ("checkout.session.completed", Subject::Checkout),
    (
        "checkout.session.async_payment_succeeded",
        Subject::Checkout,
    ),
    ("checkout.session.async_payment_failed", Subject::Checkout),
    ("customer.subscription.created", Subject::Subscription),
    ("customer.subscription.updated", Subject::Subscription),
    ("customer.subscription.deleted", Subject::Subscription),
    (
        "customer.subscription.trial_will_end",
        Subject::Subscription,
    ),
    ("customer.subscription.paused", Subject::Subscription),
    ("customer.subscription.resumed", Subject::Subscription),
    ("invoice.upcoming", Subject::Invoice),
    ("invoice.created", Subject::Invoice),
    ("invoice.updated", Subject::Invoice),
    ("invoice.finalized", Subject::Invoice),
    ("invoice.finalization_failed", Subject::Invoice),
    ("invoice.paid", Subject::Invoice),
    ("invoice.payment_failed", Subject::Invoice),
    // The same news as `invoice.paid`; endpoints of the replaced services are subscribed to this one.
    ("invoice.payment_succeeded", Subject::Invoice),
    ("invoice.voided", Subject::Invoice),
    ("invoice.marked_uncollectible", Subject::Invoice),
    ("invoice.deleted", Subject::Invoice),
    ("customer.deleted", Subject::Customer),
    ("charge.refunded", Subject::Charge),
    // A refund that the bank sends back is told by these, and never by `charge.refunded`. Which of them an endpoint is
    // sent depends on its API version.
    ("charge.refund.updated", Subject::Refund),
    ("refund.updated", Subject::Refund),
    ("refund.failed", Subject::Refund),
    ("charge.dispute.created", Subject::Dispute),
    // An inquiry that became a dispute.
    ("charge.dispute.updated", Subject::Dispute),
    ("charge.dispute.funds_withdrawn", Subject::Dispute),
    ("charge.dispute.closed", Subject::Dispute),
];

/// What an event of this type is about; none when nothing here wants it.
///
/// A thin event (`v1.invoice.created`) is about the same as the snapshot event it stands for; an
/// endpoint may be sent either or both.
pub fn route(event_type: &str) -> Option<Subject> {
    let event_type = event_type.strip_prefix("v1.").unwrap_or(event_type);
    HANDLED
        .iter()
        .find(|(handled, _)| *handled == event_type)
        .map(|(_, subject)| *subject)
}

/// The types that tell of money going back. Nothing else does: invoices and subscriptions are looked at by jobs of their
/// own, whatever was heard of them.
pub fn types_of_givebacks() -> impl Iterator<Item = &'static str> {
    let are_givebacks = [Subject::Charge, Subject::Refund, Subject::Dispute];
    let of_givebacks = HANDLED
        .iter()
        .filter(move |(_, subject)| are_givebacks.contains(subject));
    of_givebacks.map(|(handled, _)| *handled)
}

/// The types to ask Stripe for when looking for events that never arrived.
pub fn handled_types() -> impl Iterator<Item = &'static str> {
    HANDLED.iter().map(|(handled, _)| *handled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_by_its_type_thin_or_not() {
        let check = |event_type: &str, subject| assert_eq!(route(event_type), subject);
        check("customer.subscription.deleted", Some(Subject::Subscription));
        check("customer.deleted", Some(Subject::Customer));
        check("charge.dispute.closed", Some(Subject::Dispute));
        check("customer.subscription", None);
        check("v1.invoice.created", Some(Subject::Invoice));
        check("v2.core.account.created", None);
        check("", None);
    }

    /// The first column of the table in ARCHITECTURE.
    fn explained() -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
        let text = std::fs::read_to_string(path).unwrap();
        let chapter = text.split("## What Stripe's events lead to").nth(1);
        let chapter = chapter.unwrap().split("\n## ").next().unwrap();
        let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split('`').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_architecture_says_what_every_type_leads_to() {
        let mut handled: Vec<&str> = handled_types().collect();
        let mut explained = explained();
        handled.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, handled);
    }

    #[test]
    fn no_type_stands_twice_in_the_list() {
        for (at, event_type) in handled_types().enumerate() {
            assert_eq!(
                handled_types().position(|other| other == event_type),
                Some(at)
            );
        }
    }
}
