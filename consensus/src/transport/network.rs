//! The calls that openraft makes.
//!
//! openraft gives up on heartbeats and votes by itself; appends are given more time here than a heartbeat's, so that a
//! slow disk of a follower is not taken for a lost call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::peers::Target;
use super::snapshot::{self, Preamble};
use super::{Call, CallError, Peers, append};
use crate::members::Members;
use crate::raft_types::{Types, Vote};
use crate::store::StoredSnapshot;

/// How long a follower may take to store entries.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a follower may take to store and install a snapshot, beside the time its bytes take at [`SLOWEST`].
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes in a second below which sending a snapshot is given up.
const SLOWEST: u64 = 1 << 20;
/// Pause between attempts to reach a member that cannot be reached.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

type Snapshot = openraft::type_config::alias::SnapshotOf<Types, StoredSnapshot>;

/// Makes the clients.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) peers: Arc<Peers>,
    pub(crate) members: Members,
}

/// Calls one member.
pub(crate) struct Client {
    network: Network,
    node: u64,
    /// The address in the membership; the replicated state may know a newer one.
    address: String,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Client {
        Client {
            network: self.clone(),
            node: target,
            address: node.addr.clone(),
        }
    }
}

impl Client {
    fn target(&self) -> Target {
        Target {
            address: self
                .network
                .members
                .address(self.node)
                .unwrap_or_else(|| self.address.clone()),
            node: Some(self.node),
        }
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        call: Call,
        question: &Q,
        option: &RPCOption,
    ) -> Result<A, RPCError<Types>> {
        let answer = self
            .network
            .peers
            .call(&self.target(), call, question, option.hard_ttl())
            .await;
        answer.map_err(rpc_error)
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = StoredSnapshot;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let body = append::encode(&request);
        let answer = self
            .network
            .peers
            .call_bytes(&self.target(), Call::Append, body, APPEND_TIMEOUT)
            .await;
        answer.map_err(rpc_error)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(Call::Vote, &request, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(Call::PreVote, &request, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let timeout = SNAPSHOT_TIMEOUT + Duration::from_secs(snapshot.snapshot.bytes() / SLOWEST);
        let preamble = Preamble {
            vote,
            meta: snapshot.meta,
            chunks: snapshot.snapshot.chunks(),
        };
        let body = snapshot::body(&preamble, Arc::new(snapshot.snapshot))
            .map_err(|error| StreamingError::Network(NetworkError::new(&error)))?;
        let target = self.target();
        let send = self.network.peers.call_body(&target, Call::Snapshot, body, timeout);
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = send => answer.map_err(|error| StreamingError::from(rpc_error(error))),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        self.call(Call::TransferLeader, &request, &option).await
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE)))
    }
}

/// All failures are such that trying again at once is of no use.
fn rpc_error(error: CallError) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&AnyError::new(&error)))
}
