//! May they? A look, without an effect.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use tollkeeper_jobs::usage::{
    MicroUnits, Used,
    allowance::{self, decide},
};

use super::{Account, Rules, Verdict, outcome::Grounds};
use crate::db::usage::counters::{self, Count, CounterKey};

/// Whether an account may use so much more of a feature.
#[derive(Debug, Clone)]
pub struct Question {
    pub account_id: String,
    pub feature: String,
    pub requested: MicroUnits,
}

/// The answers, in the order of the questions: two looks at the database for all of them.
pub async fn judge(
    conn: &mut PgConnection,
    rules: &Rules,
    questions: &[Question],
) -> sqlx::Result<Vec<Verdict>> {
    let now = rules.clock.now();
    let ids = questions
        .iter()
        .map(|question| question.account_id.as_str());
    let accounts = Account::load(conn, ids).await?;
    let unknown = Account::default();
    let mut asked = Vec::with_capacity(questions.len());
    let mut keys = BTreeSet::new();
    for question in questions {
        let account = accounts.get(&question.account_id).unwrap_or(&unknown);
        let entitlement = rules.entitlement(account);
        let (allowance, window) = allowance::of_feature(entitlement.tier, &question.feature);
        let span = account.calendar(entitlement.cycle).span(window, now);
        let key = CounterKey {
            account_id: question.account_id.clone(),
            per: window.as_str().to_owned(),
            starts_at: span.starts_at,
            feature: question.feature.clone(),
        };
        keys.insert(key.clone());
        asked.push((entitlement, allowance, window, span, key));
    }
    let counts = counters::read(conn, &keys, rules.clock.offset()).await?;
    let answers = questions.iter().zip(asked);
    Ok(answers
        .map(|(question, (entitlement, allowance, window, span, key))| {
            let used = counts.get(&key).copied().map(used).unwrap_or_default();
            let decision = decide(allowance, entitlement.lost, used, question.requested);
            let grounds = Grounds {
                tier: &entitlement.tier.id,
                feature: &question.feature,
                allowance,
                window,
                resets_at: span.ends_at,
            };
            Verdict::of(&grounds, used, question.requested, decision)
        })
        .collect())
}

pub(super) fn used(count: Count) -> Used {
    Used {
        counted: MicroUnits(count.counted),
        held: MicroUnits(count.held),
    }
}
