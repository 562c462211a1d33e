//! Looking service keys up, all that come at once in one look: a key that is revoked is refused from then on, and
//! a look for each request would cost more than what most of them ask for.

use sqlx::PgConnection;

use crate::{
    clock::Clock,
    db::api_keys::{self, ApiKey},
    grouped::Together,
};

/// Which key has this digest, if it is neither revoked nor expired.
pub struct KeyLookup(pub Clock);

impl Together for KeyLookup {
    type Asked = [u8; 32];
    type Answer = Option<ApiKey>;

    const NAME: &'static str = "service keys";

    fn weight(_: &[u8; 32]) -> usize {
        1
    }

    async fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&[u8; 32]],
    ) -> sqlx::Result<Vec<Option<ApiKey>>> {
        let live = api_keys::live(conn, group, self.0.now()).await?;
        let of = |digest: &&[u8; 32]| {
            let found = live.iter().find(|(of, _)| of == *digest);
            found.map(|(_, key)| key.clone())
        };
        Ok(group.iter().map(of).collect())
    }
}
