SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA grapevine;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE grapevine.authority (
    singleton integer NOT NULL,
    id text NOT NULL,
    cluster_key bytea NOT NULL,
    schema_version integer NOT NULL,
    CONSTRAINT authority_cluster_key_check CHECK ((length(cluster_key) = 32)),
    CONSTRAINT authority_singleton_check CHECK ((singleton = 1))
);
CREATE TABLE grapevine.entity (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL
);
CREATE TABLE grapevine.entity_reference (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    field text NOT NULL COLLATE pg_catalog."C",
    target_kind text NOT NULL COLLATE pg_catalog."C",
    target_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.entity_tag (
    tag text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.entity_unique (
    kind text NOT NULL COLLATE pg_catalog."C",
    field text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.head (
    singleton integer NOT NULL,
    epoch bigint NOT NULL,
    tag bytea NOT NULL,
    revision bigint NOT NULL,
    chain bytea NOT NULL,
    predecessor bytea NOT NULL,
    CONSTRAINT head_chain_check CHECK ((length(chain) = 32)),
    CONSTRAINT head_epoch_check CHECK ((epoch >= 1)),
    CONSTRAINT head_predecessor_check CHECK ((length(predecessor) = 32)),
    CONSTRAINT head_revision_check CHECK ((revision >= 0)),
    CONSTRAINT head_singleton_check CHECK ((singleton = 1)),
    CONSTRAINT head_tag_check CHECK ((length(tag) = 8))
)
WITH (fillfactor='10');
CREATE TABLE grapevine.log (
    revision bigint NOT NULL,
    epoch bigint NOT NULL,
    tag bytea NOT NULL,
    write_id bytea NOT NULL,
    predecessor bytea NOT NULL,
    chain bytea NOT NULL,
    body bytea NOT NULL,
    committed_at double precision NOT NULL,
    CONSTRAINT log_chain_check CHECK ((length(chain) = 32)),
    CONSTRAINT log_predecessor_check CHECK ((length(predecessor) = 32)),
    CONSTRAINT log_tag_check CHECK ((length(tag) = 8)),
    CONSTRAINT log_write_id_check CHECK ((length(write_id) = 16))
);
CREATE TABLE grapevine.migration (
    number integer NOT NULL,
    phase text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at double precision NOT NULL,
    CONSTRAINT migration_phase_check CHECK ((phase = ANY (ARRAY['pre'::text, 'post'::text])))
);
CREATE TABLE grapevine.node (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    generation bigint NOT NULL,
    address text NOT NULL
);
INSERT INTO grapevine.authority VALUES (1, 'cf5d2a4f-8c4d-43ef-8450-8357ba0dd55d', '\xc23f0042208ca2b4299ba5d8422dfdb0645ce671039ec44e6ed3d778ba7f7515', 1);
INSERT INTO grapevine.entity VALUES ('routes', 'e63f8fdd-9ba8-4f37-91ca-fc1b45b6917d', '{"created_at":1795703142,"destinations":null,"headers":null,"hosts":null,"https_redirect_status_code":426,"id":"e63f8fdd-9ba8-4f37-91ca-fc1b45b6917d","methods":null,"name":"r","path_handling":"v0","paths":["/r"],"preserve_host":false,"protocols":["http","https"],"regex_priority":0,"request_buffering":true,"response_buffering":true,"service":{"id":"68c4e150-4a02-4eed-9ea3-0744eb525671"},"snis":null,"sources":null,"strip_path":true,"tags":null,"updated_at":1795703142}');
INSERT INTO grapevine.entity VALUES ('services', '68c4e150-4a02-4eed-9ea3-0744eb525671', '{"ca_certificates":null,"client_certificate":null,"connect_timeout":60000,"created_at":1795703142,"enabled":true,"host":"example.com","id":"68c4e150-4a02-4eed-9ea3-0744eb525671","name":"s","path":null,"port":80,"protocol":"http","read_timeout":60000,"retries":1,"tags":["a","b"],"tls_verify":null,"tls_verify_depth":null,"updated_at":1795703142,"write_timeout":60000}');
INSERT INTO grapevine.entity_reference VALUES ('routes', 'e63f8fdd-9ba8-4f37-91ca-fc1b45b6917d', 'service', 'services', '68c4e150-4a02-4eed-9ea3-0744eb525671');
INSERT INTO grapevine.entity_tag VALUES ('a', 'services', '68c4e150-4a02-4eed-9ea3-0744eb525671');
INSERT INTO grapevine.entity_tag VALUES ('b', 'services', '68c4e150-4a02-4eed-9ea3-0744eb525671');
INSERT INTO grapevine.entity_unique VALUES ('routes', 'name', 'r', 'e63f8fdd-9ba8-4f37-91ca-fc1b45b6917d');
INSERT INTO grapevine.entity_unique VALUES ('services', 'name', 's', '68c4e150-4a02-4eed-9ea3-0744eb525671');
INSERT INTO grapevine.head VALUES (1, 1, '\x5a27b06830c4803f', 4, '\x1cfef2a66ae0b66462ef1dc9969a93522c2177f635bd7f31512494d5629e9e76', '\xac1cd5a15cefa9d2c6349f3198ce48a4c0b709325f4020edbf279faa6abcad00');
INSERT INTO grapevine.log VALUES (1, 1, '\x5a27b06830c4803f', '\x6ecf2fbbe455b98e7fd5197b72025c1c', '\x0000000000000000000000000000000000000000000000000000000000000000', '\xfac71ca1d96340d00fb2fa357f318d34746a8f3c8422b7ee37e510a44d45f998', '\x94c4106ecf2fbbe455b98e7fd5197b72025c1ccb41dac21059afe16da36f6c649293a87365727669636573d92436386334653135302d346130322d346565642d396561332d303734346562353235363731da016f7b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134322c22656e61626c6564223a747275652c22686f7374223a226578616d706c652e636f6d222c226964223a2236386334653135302d346130322d346565642d396561332d303734346562353235363731222c226e616d65223a2273222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a352c2274616773223a5b2261222c2262225d2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134322c2277726974655f74696d656f7574223a36303030307d93a6726f75746573d92465363366386664642d396261382d346633372d393163612d666331623435623639313764da01d67b22637265617465645f6174223a313739353730333134322c2264657374696e6174696f6e73223a6e756c6c2c2268656164657273223a6e756c6c2c22686f737473223a6e756c6c2c2268747470735f72656469726563745f7374617475735f636f6465223a3432362c226964223a2265363366386664642d396261382d346633372d393163612d666331623435623639313764222c226d6574686f6473223a6e756c6c2c226e616d65223a2272222c22706174685f68616e646c696e67223a227630222c227061746873223a5b222f72225d2c2270726573657276655f686f7374223a66616c73652c2270726f746f636f6c73223a5b2268747470222c226874747073225d2c2272656765785f7072696f72697479223a302c22726571756573745f627566666572696e67223a747275652c22726573706f6e73655f627566666572696e67223a747275652c2273657276696365223a7b226964223a2236386334653135302d346130322d346565642d396561332d303734346562353235363731227d2c22736e6973223a6e756c6c2c22736f7572636573223a6e756c6c2c2273747269705f70617468223a747275652c2274616773223a6e756c6c2c22757064617465645f6174223a313739353730333134327d', 1795703142.748134);
INSERT INTO grapevine.log VALUES (2, 1, '\x5a27b06830c4803f', '\x544365025ab9e2c4adc8ff52c40cb9ae', '\xfac71ca1d96340d00fb2fa357f318d34746a8f3c8422b7ee37e510a44d45f998', '\x558c3a77cc7379a1e6f89ce051799c039ae960ff7a82d11b3f416e5a1e7393d4', '\x94c410544365025ab9e2c4adc8ff52c40cb9aecb41dac21059ba88ada36f6c649193a87365727669636573d92430343834646236662d343466632d346534632d396236312d333437643435636531363030da01607b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134322c22656e61626c6564223a747275652c22686f7374223a2268222c226964223a2230343834646236662d343466632d346534632d396236312d333437643435636531363030222c226e616d65223a2274222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a352c2274616773223a6e756c6c2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134322c2277726974655f74696d656f7574223a36303030307d', 1795703142.914592);
INSERT INTO grapevine.log VALUES (3, 1, '\x5a27b06830c4803f', '\xfd2be91f43df8b8fe579c0e5a1815284', '\x558c3a77cc7379a1e6f89ce051799c039ae960ff7a82d11b3f416e5a1e7393d4', '\xac1cd5a15cefa9d2c6349f3198ce48a4c0b709325f4020edbf279faa6abcad00', '\x94c410fd2be91f43df8b8fe579c0e5a1815284cb41dac21059bbe906a36f6c649193a87365727669636573d92436386334653135302d346130322d346565642d396561332d303734346562353235363731da016f7b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134322c22656e61626c6564223a747275652c22686f7374223a226578616d706c652e636f6d222c226964223a2236386334653135302d346130322d346565642d396561332d303734346562353235363731222c226e616d65223a2273222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a312c2274616773223a5b2261222c2262225d2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134322c2277726974655f74696d656f7574223a36303030307d', 1795703142.9360976);
INSERT INTO grapevine.log VALUES (4, 1, '\x5a27b06830c4803f', '\x1cd3f1ac1fa2926cbd8e883de423f61f', '\xac1cd5a15cefa9d2c6349f3198ce48a4c0b709325f4020edbf279faa6abcad00', '\x1cfef2a66ae0b66462ef1dc9969a93522c2177f635bd7f31512494d5629e9e76', '\x94c4101cd3f1ac1fa2926cbd8e883de423f61fcb41dac21059bda85ba36f6c649193a87365727669636573d92430343834646236662d343466632d346534632d396236312d333437643435636531363030c0', 1795703142.9634006);
INSERT INTO grapevine.migration VALUES (1, 'pre', 'initial', '30e430e49549613a6c1a11b91165b630361ed8e7415f592dcee0e5060438ad47', 1795703142.6182706);
INSERT INTO grapevine.node VALUES ('8f1f6e4e-0000-4000-8000-000000000001', '', 7, '');
ALTER TABLE ONLY grapevine.authority
    ADD CONSTRAINT authority_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY grapevine.entity
    ADD CONSTRAINT entity_pkey PRIMARY KEY (kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_pkey PRIMARY KEY (kind, id, field);
ALTER TABLE ONLY grapevine.entity_tag
    ADD CONSTRAINT entity_tag_pkey PRIMARY KEY (tag, kind, id);
ALTER TABLE ONLY grapevine.entity_unique
    ADD CONSTRAINT entity_unique_pkey PRIMARY KEY (kind, field, value);
ALTER TABLE ONLY grapevine.head
    ADD CONSTRAINT head_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY grapevine.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (revision);
ALTER TABLE ONLY grapevine.log
    ADD CONSTRAINT log_write_id_key UNIQUE (write_id);
ALTER TABLE ONLY grapevine.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number, phase);
ALTER TABLE ONLY grapevine.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (id);
CREATE INDEX entity_reference_to_target ON grapevine.entity_reference USING btree (target_kind, target_id, kind, id);
CREATE INDEX entity_tag_of_entity ON grapevine.entity_tag USING btree (kind, id);
CREATE INDEX entity_unique_of_entity ON grapevine.entity_unique USING btree (kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_target_kind_target_id_fkey FOREIGN KEY (target_kind, target_id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_tag
    ADD CONSTRAINT entity_tag_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_unique
    ADD CONSTRAINT entity_unique_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
