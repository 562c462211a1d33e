//! Processes come and go, under whatever name.

use tollkeeper::sandbox::{Sandbox, Settings};

use crate::support::{cluster, process::Program};

#[tokio::test]
async fn each_role_says_when_it_is_ready() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let program = Program::over(&cluster::fresh_database_options().await, &sandbox);
    for role in ["web", "worker"] {
        let process = program.ready(role).await;
        let (status, figures) = process.get("/metrics").await.unwrap();
        assert_eq!(status, 200, "{figures}");
        assert!(process.is_alive());
    }
}
