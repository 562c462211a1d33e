//! What a model answers about a transcript.

use tollkeeper::sandbox::When;

use super::{
    CHAT, SAID, asked, counted, house_of_ann, in_the_clear, refusal, state, states, strike, told,
};

#[tokio::test]
async fn an_analysis_that_is_none_is_asked_for_once_more_and_then_fails_with_the_reason() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    let broken = "{\"summary\": \"the boiler\"";
    house.sandbox.analyse_next(broken);
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    assert_eq!(states(&house).await, [state("completed", "completed")]);
    assert_eq!(asked(&house, CHAT), 2);

    for answer in [broken, "{}"] {
        house.sandbox.analyse_next(answer);
    }
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;

    assert_eq!(states(&house).await[1], state("completed", "failed"));
    assert_eq!(asked(&house, CHAT), 4);
    let why: String = house
        .service
        .value("select analysis_error from recordings where analysis = 'failed'")
        .await;
    assert!(why.contains("summary is not a string"), "{why}");
    assert_eq!(in_the_clear(&house, "boiler").await, Vec::<String>::new());
    let kept: i64 = house
        .service
        .value("select count(*) from speech_answers")
        .await;
    assert_eq!((kept, counted(&house).await), (0, 2));
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_asked_about_silence_and_a_no_of_the_model_leaves_the_transcript() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    told(&house, &web, &phone, 2, "").await;
    house.settle().await;
    assert_eq!(
        (states(&house).await, asked(&house, CHAT)),
        (vec![state("completed", "failed")], 0)
    );

    strike(
        &house,
        CHAT,
        When::First(2),
        refusal(400, "context_length_exceeded"),
    );
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    assert_eq!(states(&house).await[1], state("completed", "failed"));
    assert_eq!(counted(&house).await, 2);
}
