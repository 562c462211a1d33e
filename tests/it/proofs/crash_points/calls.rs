//! What the providers tell in the story: a call to Ann's number, and one to a number that nobody has. And what only its lists
//! have: a recorded call among it. And what Ann asks for: a number at VoIP.ms, a call, a message from there, and one that
//! Twilio refuses.

use sqlx::PgPool;
use tollkeeper::{
    clients::twilio::{Twilio, Urls},
    clock::Clock,
    config::OutboundConfig,
    db::number_orders::{self, NewOrder},
    outbound::{self, Policy, Wish},
    queue,
    sandbox::{Fault, Provider, Rule, Sandbox, When},
    signature::twilio,
    usage::Rules,
};
use tollkeeper_jobs::{
    ProvisionNumber,
    plans::Catalogue,
    telephony::outbound::{Carrier, Channel},
};
use uuid::Uuid;

use crate::support::{
    phone::{CALLER, Phone, on_sale, sid},
    web::VOIPMS_TOKEN,
};

/// Of the sandbox's own account.
const MASTER: (&str, &str) = (
    "AC00000000000000000000000000000001",
    "00000000000000000000000000000002",
);
const PATH: &str = "/api/twilio/status";
/// Ben's number, at VoIP.ms.
const BENS: &str = "+14155550177";

/// Ann is called and written to, somebody buys her another number, and no callback tells it. One recording was told of and
/// seen, and then forgotten by everybody.
pub async fn untold(sandbox: &Sandbox, twilio: &Twilio, db: &PgPool) {
    let phone = Phone::of(sandbox, "ann");
    let call = sandbox.take_call(&phone.number, CALLER, 125).unwrap();
    sandbox.take_recording(&call, 2, "Please call me back. It is broken.");
    sandbox
        .take_message(&phone.number, CALLER, "hello")
        .unwrap();
    let own = &phone.account_sid;
    // Ben's number, which he has a moment later.
    sandbox.own_did(BENS, None);
    sandbox.take_text(BENS, CALLER, "hello").unwrap();
    let on_sale = on_sale(twilio, own, None).await;
    let elsewhere = Urls::of_account("https://elsewhere.test", "ann");
    let bought = twilio.buy_number(own, &on_sale[0], "by hand", &elsewhere);
    bought.await.unwrap();
    let forgotten = sandbox.take_recording(&call, 1, "Thank you.");
    sqlx::query(
        "insert into recordings (account_id, recording_ref, transcription_id, call_ref, held_by_ref, status, seconds,
                                 began_at, told_at, updated_at, fetched_at)
         values ('ann', $1, gen_random_uuid(), $2, $3, 'completed', 1, now(), now(), now(), now())",
    )
    .bind(&forgotten.sid)
    .bind(&forgotten.call_sid)
    .bind(&forgotten.account_sid)
    .execute(db)
    .await
    .unwrap();
}

/// Ann orders one more number, at VoIP.ms.
pub async fn order_did(db: &PgPool) {
    let id = Uuid::now_v7();
    let order = NewOrder {
        id,
        account_id: "ann",
        carrier: Carrier::Voipms,
        key: Some("one more"),
        phone_number: None,
        area_code: Some("628"),
        friendly_name: None,
        is_included: false,
    };
    let mut tx = db.begin().await.unwrap();
    assert!(number_orders::insert(&mut tx, &order).await.unwrap());
    let job = ProvisionNumber::additional("ann", id);
    queue::enqueue(&mut tx, &job).await.unwrap();
    tx.commit().await.unwrap();
}

/// Ann asks for a call, for a message from VoIP.ms, and for one from Twilio to somebody who wants none.
pub async fn asked(sandbox: &Sandbox, db: &PgPool) {
    let unwanted = Fault::Refuse {
        status: 400,
        code: "21610".into(),
    };
    let twilio = Provider::Twilio;
    let rule = Rule::on(twilio, "POST", "Messages.json", When::Always, unwanted);
    sandbox.add_rules(vec![rule]);
    let policy = Policy {
        rules: Rules {
            catalogue: Catalogue::of_settings(&Default::default()).unwrap().into(),
            past_due_grace: Default::default(),
            clock: Clock::default(),
        },
        settings: OutboundConfig {
            spend_per_day_micros: None,
            call_minutes_max: 60,
            fallback_number: None,
        },
        allowed_countries: vec!["US".into()],
        master_ref: MASTER.0.into(),
        has_voipms: true,
    };
    let there =
        "select phone_number from phone_numbers where account_id = 'ann' and provider = 'voipms'";
    let there: String = sqlx::query_scalar(there).fetch_one(db).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for (channel, from) in [
        (Channel::Call, None),
        (Channel::Message, None),
        (Channel::Message, Some(there.parse().unwrap())),
    ] {
        let wish = Wish {
            account_id: "ann".into(),
            channel,
            from,
            to: CALLER.parse().unwrap(),
            body: "hello".into(),
            is_recorded: false,
            metadata: None,
            key: None,
            asked_by: "a proof".into(),
        };
        let asked = outbound::ask(&mut tx, &policy, &wish).await.unwrap();
        assert!(!asked.unwrap().is_copy);
    }
    tx.commit().await.unwrap();
}

/// Somebody wrote to Ben. Whether it was acknowledged.
pub async fn written(web: &str) -> bool {
    let query = [("id", "10001"), ("from", CALLER), ("to", BENS)];
    let url = format!("http://{web}/webhooks/voipms/sms/{VOIPMS_TOKEN}");
    let answer = reqwest::Client::new().get(url).query(&query).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// Two ended calls, each signed by whose it is. Whether both were acknowledged.
pub async fn told(sandbox: &Sandbox, web: &str) -> bool {
    let phone = Phone::of(sandbox, "ann");
    let of_ann = (phone.account_sid.as_str(), phone.token.as_str());
    post(web, of_ann, &sid("CA", 1), &phone.number).await
        && post(web, MASTER, &sid("CA", 2), "+15005550009").await
}

async fn post(web: &str, (account_sid, token): (&str, &str), call: &str, to: &str) -> bool {
    let params = [
        ("AccountSid", account_sid),
        ("CallSid", call),
        ("CallStatus", "completed"),
        ("CallDuration", "61"),
        ("Direction", "inbound"),
        ("From", CALLER),
        ("To", to),
    ];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let signed = twilio::sign(token, &format!("https://hooks.test{PATH}"), &params);
    let answer = reqwest::Client::new()
        .post(format!("http://{web}{PATH}"))
        .header("x-twilio-signature", signed)
        .form(&params)
        .send()
        .await;
    answer.is_ok_and(|answer| answer.status() == 200)
}
