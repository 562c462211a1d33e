//! What Twilio tells in the story: a call to Ann's number, and one to a number that nobody has. And what only its lists
//! have: a recorded call among it.

use sqlx::PgPool;
use tollkeeper::{sandbox::Sandbox, signature::twilio};

use crate::support::phone::{CALLER, Phone, sid};

/// Of the sandbox's own account.
const MASTER: (&str, &str) = (
    "AC00000000000000000000000000000001",
    "00000000000000000000000000000002",
);
const PATH: &str = "/api/twilio/status";

/// Ann is called and written to, and no callback tells it. One recording was told of and seen, and then forgotten by
/// everybody.
pub async fn untold(sandbox: &Sandbox, db: &PgPool) {
    let phone = Phone::of(sandbox, "ann");
    let call = sandbox.take_call(&phone.number, CALLER, 125).unwrap();
    sandbox.take_recording(&call, 2, "Please call me back. It is broken.");
    sandbox
        .take_message(&phone.number, CALLER, "hello")
        .unwrap();
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
