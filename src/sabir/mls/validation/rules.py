"""Every rule of MLS that is checked, by number: annex A of the design, now here.

The value says what must hold and where that is written; section numbers without a
document are of RFC 9420. Errors carry the number, tests cite it.
"""

from enum import Enum, unique


@unique
class Rule(Enum):
    """A check. `name` is the number, `value` what must hold."""

    # -- rules C, codec
    C01 = "varint uses the fewest octets (2.1.2)"
    C02 = "varint prefix 11 refused (2.1.2)"
    C03 = (
        "length fits the input and the caller's limit, checked before "
        "allocation (2.1.2)"
    )
    C04 = "elements fill their vector exactly (2.1)"
    C05 = "no octets after a top-level object (ours)"
    C06 = "presence octet is 0 or 1 (2.1.1)"
    C07 = (
        "enum value 0 and unknown values refused in content, sender, leaf "
        "source, node, proposal-or-ref, PSK types (6, 7, 12)"
    )
    C08 = "version mls10 and known wire format, else unsupported (6)"
    C09 = (
        "unregistered proposal type: unsupported; unknown extensions kept raw "
        "(12.1, 13)"
    )
    C10 = "no extension type twice in one list (13.4)"

    # -- rules F, framing
    F01 = "group id is ours (6)"
    F02 = (
        "handshake epoch is the current one; application epoch current or kept "
        "(12.1, 12.4.2, 15.3)"
    )
    F03 = "member sender is a non-blank leaf (6.1, 6.3.2)"
    F04 = "application data only as PrivateMessage (6)"
    F05 = (
        "sender, content and wire format fit together: external: proposal; "
        "new_member_proposal: Add; new_member_commit: commit with path; "
        "PrivateMessage: member (6.1, 12.1.8)"
    )
    F06 = "membership_tag present exactly for members in PublicMessage, and right (6.2)"
    F07 = (
        "signature present and right, by the key the sender type names, over "
        "this wire format (6.1)"
    )
    F08 = "confirmation_tag exactly in commits (6.1)"
    F09 = "external sender index exists (12.1.8.1)"
    F10 = "padding is zero (6.3.1)"
    F11 = "AEAD opens (6.3)"

    # -- rules D, secret tree
    D01 = (
        "generation at most generation_forward_max ahead, refused before "
        "derivation (15.3)"
    )
    D02 = "generation not used and not dropped (9.2)"
    D03 = "keys deleted on success, and only then (9.2)"
    D04 = "own messages per epoch within the AEAD limit (15.2)"
    D05 = "generation does not pass 2^32-1 (9.1)"

    # -- rules L, leaf node
    L01 = "credential accepted by the Authentication Service (5.3.1, 7.3)"
    L02 = "signature right, with group id and index for update and commit (7.2)"
    L03 = "covers required_capabilities (7.3, 11.1)"
    L04 = "credential type supported by all, and all types in use supported by it (7.3)"
    L05 = (
        "now within lifetime (key_package source); S always, on receipt by policy (7.3)"
    )
    L06 = "lifetime no longer than lifetime_s_max (7.2)"
    L07 = "its non-default extensions are in its capabilities (7.2, 7.3)"
    L08 = "its credential type is in its capabilities (7.2)"
    L09 = "leaf_node_source fits the place (7.3)"
    L10 = (
        "update and commit: encryption key differs from the replaced leaf's "
        "(7.3, 12.4.2)"
    )
    L11 = "signature key unique among members (7.3)"
    L12 = "encryption key unique in the tree (7.3)"
    L13 = "capabilities contain the group's version and suite (7.2, 10)"
    L14 = "keys are well formed for the suite (5.1.1)"
    L15 = "supports every GroupContext extension (13.4)"
    L16 = "default types not listed in capabilities, when sending (7.2)"

    # -- rules K, key package
    K01 = "version and suite are the group's (10.1)"
    K02 = "leaf valid, source key_package (10.1)"
    K03 = "signature right by the leaf's signature key (10.1)"
    K04 = "init key differs from encryption key (10.1)"
    K05 = "version equals that of the MLSMessage (10)"
    K06 = "non-default extensions listed in capabilities; unknown ones ignored (10)"
    K07 = "init key unique among the Adds of a list (ours)"

    # -- rules T, tree
    T01 = "leaves at even, parents at odd positions (12.4.3.3)"
    T02 = "last node not blank (12.4.3.3)"
    T03 = "tree hash equals the GroupContext's (12.4.3.1)"
    T04 = "each non-blank parent is parent-hash valid by exactly one chain (7.9.2)"
    T05 = "unmerged leaf is a non-blank descendant (12.4.3.1)"
    T06 = "listed by each non-blank node between leaf and parent (12.4.3.1)"
    T07 = "parent's encryption key unique in the tree (12.4.3.1)"
    T08 = "unmerged_leaves increasing, without repetition (7.1)"
    T09 = "path has as many nodes as the filtered direct path (7.5)"
    T10 = (
        "each path node has one ciphertext per resolution node, new leaves "
        "excluded (7.6)"
    )
    T11 = "path leaf's parent_hash equals the computed one (7.9.2)"
    T12 = "no path key is in the new tree (12.4.2)"
    T13 = "keys derived from the path secret equal those sent (7.5)"
    T14 = "keys derived from the Welcome's path secret equal the tree's (12.4.3.1)"

    # -- rules P, proposal
    P01 = "Add: key package valid (12.1.1)"
    P02 = "Update: leaf valid, sender a member (12.1.2)"
    P03 = "Remove: leaf not blank (12.1.3)"
    P04 = "PSK nonce has Nh octets (12.1.4)"
    P05 = "PSK usage reinit or branch only where those happen (12.1.4)"
    P06 = "ReInit version not lower (12.1.5)"
    P07 = (
        "new required_capabilities met by all members that the list results in, before"
        " the path (11.1, 12.1.7, 12.4.2)"
    )
    P08 = "new GroupContext extensions supported by the same (13.4)"
    P09 = "external sender: allowed types only (12.1.8)"
    P10 = "policy of the application allows it (12.2)"
    P11 = "its sender has room for one more that waits (ours)"

    # -- rules Q, proposal list
    Q01 = "no Update by the committer (12.2)"
    Q02 = "no Remove of the committer (12.2)"
    Q03 = "at most one Update, Remove or SelfRemove per leaf (12.2)"
    Q04 = "no two Adds for one client (12.2)"
    Q05 = "no Add for a present client unless removed in the list (12.2)"
    Q06 = "no PSK id twice (12.2)"
    Q07 = "at most one GroupContextExtensions (12.2)"
    Q08 = "ReInit alone (12.2)"
    Q09 = "no ExternalInit in a member's commit (12.2)"
    Q10 = "non-default types supported by all who process the commit (12.2)"
    Q11 = "references resolve to proposals of this epoch (12.4)"
    Q12 = "resulting tree is valid (12.2)"
    Q13 = "at most psks_per_commit_max PSKs (ours)"

    # -- rules O, commit
    O01 = "path present when the list is empty or any type needs it (12.4, 17.4)"
    O02 = "all PSKs at hand (12.4.2)"
    O03 = "confirmation tag right (12.4.2)"
    O04 = "nothing changes before merge (14)"
    O05 = "epoch grows by one and does not wrap (12)"
    O06 = "after ReInit nothing is sent (12.4.2)"
    O07 = "no application message while proposals are pending (12.4)"
    O08 = "own pending commit: merged or cleared before another (ours)"
    O09 = "Welcome released only after acceptance (14)"

    # -- rules X, external commit
    X01 = "has a path (12.4.3.2)"
    X02 = "exactly one ExternalInit, by value (12.2)"
    X03 = (
        "besides it only one Remove, PSKs; AppDataUpdate and AppEphemeral where"
        " supported (12.2, mls-extensions)"
    )
    X04 = "no references, except SelfRemove where supported (12.4.3.2)"
    X05 = "sender new_member_commit, signed by the path leaf's key (12.4.3.2)"
    X06 = "Remove: new leaf may replace the old one (12.2)"
    X07 = "joiner at the leftmost blank leaf after removals (12.4.2)"
    X08 = "kem_output has the KEM's length and decapsulates (8.3)"
    X09 = (
        "joining: GroupInfo has external_pub, W05, W12, T01-T08, L01-L15 hold "
        "(12.4.3.2)"
    )

    # -- rules W, Welcome
    W01 = "an entry names our key package (12.4.3.1)"
    W02 = "suite equals the key package's (12.4.3.1)"
    W03 = "group secrets open (12.4.3.1)"
    W04 = (
        "PSKs at hand; at most one of usage reinit or branch, then the only one"
        " of its kind (12.4.3.1)"
    )
    W05 = "GroupInfo signed by the non-blank leaf signer (12.4.3)"
    W06 = "not already a member of this group id, but to replace our leaf (12.4.3)"
    W07 = "GroupInfo suite equals the key package's (12.4.3.1)"
    W08 = "tree and leaves valid (12.4.3.1)"
    W09 = "our leaf is in the tree, octet for octet (12.4.3.1)"
    W10 = "path secret fits (T14) (12.4.3.1)"
    W11 = "confirmation tag right (12.4.3.1)"
    W12 = "we support every GroupContext extension (13.4)"
    W13 = "reinit, branch: epoch is 1 (12.4.3.1)"
    W14 = "reinit: parameters and members match (11.2)"
    W15 = "branch: version and suite equal, members a subset (11.3)"
    W16 = "PSK order as given is used (8.4)"
    W17 = "tree given inside and outside: equal (ours)"

    # -- rules E, mls-extensions
    E01 = "dictionary sorted, ids unique (4.6)"
    E02 = "component of an AppDataUpdate or AppEphemeral is known (4.7, 4.8)"
    E03 = "remove only what is there (4.7)"
    E04 = "per component one remove or only updates (4.7)"
    E05 = (
        "GroupContextExtensions leaves the dictionary alone when AppDataUpdate "
        "is required (4.7)"
    )
    E06 = "the component accepts the update (4.7)"
    E07 = "with safe_aad: AAD is a sorted SafeAAD (4.9)"
    E08 = "SelfRemove: PublicMessage, member, by reference (6.3)"
    E09 = "no Remove beside a SelfRemove of one leaf (6.3)"
    E10 = "one SelfRemove per member and epoch (6.3)"
    E11 = "required_wire_formats supported by all (5)"
    E12 = "with content_media_types: ApplicationFraming decodes (6.2)"
    E13 = "required app_components and safe_aad ids supported by all (5)"
    E14 = "safe export once per component and epoch (4.4)"
    E15 = "no GREASE component in the GroupContext (5.1)"

    # -- rules H, public group
    H02 = (
        "committer's GroupInfo equals the computed GroupContext and is signed "
        "by the committer (ratchet-tree-options)"
    )
    H03 = (
        "PartialGroupInfo rebuilds to a validly signed GroupInfo (ratchet-tree-options)"
    )
    H04 = "Welcome entries are exactly the key packages of the Adds (ours)"
    H05 = (
        "semi_private: opened content matches framed_content_tbs_hash and "
        "partial_context_hash (semiprivatemessage)"
    )
