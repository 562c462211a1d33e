//! What the sandbox's owner can do and see, in code.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Call, Delivery, MischiefRule, Rule, Sandbox, speech,
    stripe::{ApiVersion, EventSummary, SignUp, SignedEvent, SignedUp, Status},
    twilio,
};

/// Faults, the clock, and what was asked.
impl Sandbox {
    /// Let rules strike, after those there are already.
    pub fn add_rules(&self, rules: Vec<Rule>) {
        self.shared.world().faults.add(rules);
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<Rule> {
        self.shared.world().faults.rules()
    }

    /// From now on no call goes wrong.
    pub fn clear_rules(&self) {
        self.shared.world().faults.clear();
    }

    /// Every call there was, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.world().audit.calls()
    }

    /// How many calls there were.
    pub fn call_count(&self) -> usize {
        self.shared.world().audit.count()
    }

    /// Requests whose clients were cut off and which are still to be carried out.
    pub fn late_count(&self) -> usize {
        self.shared.world().late_count()
    }

    /// The sandbox's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Move the sandbox's clock, and every clone of it, and let happen what fell due.
    pub fn advance(&self, by: TimeDelta) {
        self.shared.clock.advance(by);
        let now = self.shared.clock.now();
        self.shared.world().catch_up(now);
    }

    /// When something happens next by itself, if it still holds then: a period ends, a draft is finalized, a payment is
    /// tried again.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.shared.world().next_due()
    }

    /// Everything in figures, for a person.
    pub(super) fn state(&self) -> Value {
        let world = self.shared.world();
        json!({
            "now": self.shared.clock.now(),
            "stripe": world.stripe.summary(),
            "twilio": {
                "subaccounts": world.twilio.subaccounts(),
                "numbers": world.twilio.numbers(),
                "numbers_ever_bought": world.twilio.purchases().len(),
            },
            "voipms": {
                "numbers": world.voipms.dids(),
                "numbers_ever_bought": world.voipms.bought().len(),
            },
            "calls": world.audit.count(),
            "late_executions": world.late_count(),
            "faults": world.faults.rules(),
        })
    }
}

/// Twilio.
impl Sandbox {
    /// The subaccounts in the order they were made, closed ones too.
    pub fn subaccounts(&self) -> Vec<twilio::Account> {
        self.shared.world().twilio.subaccounts()
    }

    /// Somebody makes the second token of a subaccount its first. The new one; none where there is no such subaccount.
    pub fn promote_token(&self, subaccount_sid: &str) -> Option<String> {
        let mut world = self.shared.world();
        world.twilio.promote_token(subaccount_sid)
    }

    /// The phone numbers owned now, with owner and friendly name.
    pub fn numbers(&self) -> Vec<twilio::Number> {
        self.shared.world().twilio.numbers()
    }

    /// Every number ever paid for, the released ones too.
    pub fn numbers_ever_bought(&self) -> Vec<twilio::Purchase> {
        self.shared.world().twilio.purchases()
    }

    /// Somebody called a number, and it is over: it is in the list of calls. None: nobody owns that number.
    pub fn take_call(&self, to: &str, from: &str, seconds: u32) -> Option<twilio::PhoneCall> {
        let now = self.now();
        self.shared.world().twilio.take_call(to, from, seconds, now)
    }

    /// That call was put through to another number, and is over there too: it is in the list as a call of its own.
    pub fn put_through(
        &self,
        parent: &twilio::PhoneCall,
        to: &str,
        seconds: u32,
    ) -> twilio::PhoneCall {
        let now = self.now();
        let twilio = &mut self.shared.world().twilio;
        twilio.put_through(parent, to, seconds, now)
    }

    /// Somebody calls a number: its voice URL is asked what they hear. Where that answer records, they say this, and what
    /// comes next is asked; the end of the call is told, and then that of the recording. Answers the call, and the TwiML
    /// they heard. None: nobody owns that number.
    pub async fn ring(
        &self,
        to: &str,
        from: &str,
        seconds: u32,
        says: &str,
    ) -> Option<(twilio::PhoneCall, String)> {
        let call = self.take_call(to, from, seconds)?;
        let asking = self.shared.world().twilio.ask_about_call(&call);
        let heard = carry(asking).await;
        let is_recorded = heard.contains("<Record ");
        let recording = is_recorded.then(|| self.take_recording(&call, seconds, says));
        let callbacks = {
            let world = self.shared.world();
            let twilio = &world.twilio;
            let of = recording.as_ref();
            [
                of.and_then(|recording| twilio.ask_about_recording(&call, recording, &heard)),
                twilio.tell_of_call(&call),
                of.and_then(|recording| twilio.tell_of_recording(recording, &heard)),
            ]
        };
        for callback in callbacks {
            carry(callback).await;
        }
        Some((call, heard))
    }

    /// A call was recorded: it is in the list of recordings.
    pub fn take_recording(
        &self,
        call: &twilio::PhoneCall,
        seconds: u32,
        says: &str,
    ) -> twilio::Recording {
        let now = self.now();
        let mut world = self.shared.world();
        world.twilio.take_recording(call, seconds, says, now)
    }

    /// The recordings that were not deleted.
    pub fn recordings(&self) -> Vec<twilio::Recording> {
        self.shared.world().twilio.recordings()
    }

    /// Somebody writes to a number: its message URL is asked for a reply. Answers the message, and the TwiML of the
    /// reply. None: nobody owns that number.
    pub async fn write(
        &self,
        to: &str,
        from: &str,
        body: &str,
    ) -> Option<(twilio::PhoneMessage, String)> {
        let message = self.take_message(to, from, body)?;
        let asking = self.shared.world().twilio.ask_about_message(&message);
        Some((message, carry(asking).await))
    }

    /// Somebody wrote to a number: it is in the list of messages. None: nobody owns that number.
    pub fn take_message(&self, to: &str, from: &str, body: &str) -> Option<twilio::PhoneMessage> {
        let now = self.now();
        self.shared.world().twilio.take_message(to, from, body, now)
    }

    /// Every call there was, asked for or not, oldest first.
    pub fn phone_calls(&self) -> Vec<twilio::PhoneCall> {
        self.shared.world().twilio.phone_calls()
    }

    /// Every message there was, asked for or not, oldest first.
    pub fn phone_messages(&self) -> Vec<twilio::PhoneMessage> {
        self.shared.world().twilio.phone_messages()
    }

    /// Somebody took a call that was asked for, and it is over: that is told. False when there is no such call.
    pub async fn end_call(&self, sid: &str, seconds: u32) -> bool {
        let now = self.now();
        let telling = {
            let mut world = self.shared.world();
            let call = world.twilio.end_call(sid, seconds, now);
            call.map(|call| world.twilio.tell_of_call(&call))
        };
        told(telling).await
    }

    /// A message that was asked for has arrived: that is told. False when there is no such message.
    pub async fn deliver(&self, sid: &str) -> bool {
        let now = self.now();
        let telling = {
            let mut world = self.shared.world();
            let message = world.twilio.deliver(sid, now);
            message.map(|message| world.twilio.tell_of_message(&message))
        };
        told(telling).await
    }

    /// What one account ever bought.
    pub fn purchases_of(&self, account_sid: &str) -> Vec<twilio::Purchase> {
        let mut purchases = self.numbers_ever_bought();
        purchases.retain(|purchase| purchase.account_sid == account_sid);
        purchases
    }
}

/// Speech and analysis.
impl Sandbox {
    /// From now on it differs from OpenAI so.
    pub fn speak(&self, manner: speech::Manner) {
        self.shared.world().speech.manner = manner;
    }

    /// Answer that, whatever it is, when an analysis is asked for next.
    pub fn analyse_next(&self, answer: &str) {
        let mut world = self.shared.world();
        world.speech.next_analyses.push_back(answer.to_owned());
    }
}

/// Stripe.
impl Sandbox {
    /// Send events of all kinds there from now on, signed with that secret. Returns the endpoint's id.
    pub fn add_webhook(&self, url: &str, secret: &str) -> String {
        let (url, secret, now) = (url.to_owned(), secret.to_owned(), self.now());
        self.shared.world().stripe.add_webhook(url, secret, now)
    }

    /// A monthly price with an id of one's own, in US cents. Nothing happens when it is there already.
    pub fn add_price(&self, id: &str, unit_amount: i64) {
        let now = self.now();
        let mut world = self.shared.world();
        world.stripe.add_price(id, unit_amount, None, now);
    }

    /// The same that is paid for so many weeks at a time: as long on every day of the year, which no month is.
    pub fn add_price_of_weeks(&self, id: &str, unit_amount: i64, weeks: u32) {
        let now = self.now();
        let mut world = self.shared.world();
        world.stripe.add_price(id, unit_amount, Some(weeks), now);
    }

    /// A person signs up and pays. Fails when the price does not exist.
    pub fn sign_up(&self, who: &SignUp) -> Result<SignedUp, String> {
        let now = self.now();
        self.shared.world().stripe.sign_up(who, now)
    }

    /// The customer pays in an open session. Returns the subscription's id; none when there is no
    /// such session.
    pub fn complete_checkout(&self, session_id: &str) -> Option<String> {
        let now = self.now();
        self.shared.world().stripe.complete_session(session_id, now)
    }

    /// Put a subscription into any state, with the events of it. False when there is none.
    pub fn set_status(&self, subscription_id: &str, status: Status) -> bool {
        let now = self.now();
        self.shared
            .world()
            .stripe
            .set_status(subscription_id, status, now)
    }

    /// A customer's payments fail from now on. False when there is no such customer.
    pub fn let_payments_fail(&self, customer_id: &str) -> bool {
        self.shared.world().stripe.let_payments_fail(customer_id)
    }

    /// A customer's payments succeed again. False when there is no such customer.
    pub fn let_payments_succeed(&self, customer_id: &str) -> bool {
        self.shared.world().stripe.let_payments_succeed(customer_id)
    }

    /// Answer that object as it is where one of its kind and id is fetched: `data.object` of a
    /// recorded webhook, so that a job that fetches it finds what the recording says. False when it
    /// has no `id`.
    pub fn adopt(&self, object: Value) -> bool {
        self.shared.world().stripe.adopt(object)
    }

    /// Every event, oldest first, with how its delivery stands.
    pub fn events(&self) -> Vec<EventSummary> {
        self.shared.world().stripe.event_summaries()
    }

    /// An event as an endpoint of that version gets it, and the `Stripe-Signature` for it: for a
    /// test that delivers in an order of its own. None when there is no such event.
    pub fn signed_event(
        &self,
        event_id: &str,
        version: ApiVersion,
        secret: &str,
    ) -> Option<SignedEvent> {
        let now = self.now();
        self.shared
            .world()
            .stripe
            .signed_event(event_id, version, secret, now)
    }

    /// Send an event again, whatever became of it. False when there is no such event.
    pub fn resend(&self, event_id: &str) -> bool {
        self.shared.world().stripe.resend(event_id)
    }

    /// Let events be lost, doubled or held back, after the rules there are already.
    pub fn add_mischief(&self, rules: Vec<MischiefRule>) {
        self.shared.world().stripe.add_mischief(rules);
    }

    /// The rules in force.
    pub fn mischief(&self) -> Vec<MischiefRule> {
        self.shared.world().stripe.mischief()
    }

    /// From now on every event is sent once and at once.
    pub fn clear_mischief(&self) {
        self.shared.world().stripe.clear_mischief();
    }

    /// Every attempt to deliver an event.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.world().stripe.deliveries()
    }

    /// Wait until no event is on its way: each was accepted, given up, or lost. A sandbox that stops
    /// has none.
    pub async fn all_delivered(&self) {
        let mut in_flight = self.shared.world().stripe.in_flight();
        tokio::select! {
            () = self.shared.stopping.cancelled() => {}
            _ = in_flight.wait_for(|count| *count == 0) => {}
        }
    }
}

async fn told(telling: Option<Option<twilio::Callback>>) -> bool {
    let Some(telling) = telling else {
        return false;
    };
    carry(telling).await;
    true
}

/// Send a callback once, as Twilio does, and answer what was said to it; nothing where nobody answered.
async fn carry(callback: Option<twilio::Callback>) -> String {
    let Some(callback) = callback else {
        return String::new();
    };
    let request = client()
        .post(callback.url)
        .header("X-Twilio-Signature", callback.signature)
        .form(&callback.params);
    match request.send().await {
        Ok(answer) if answer.status().is_success() => answer.text().await.unwrap_or_default(),
        _ => String::new(),
    }
}

/// For callbacks.
pub(super) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
