CREATE FUNCTION public.record_playback(token text, number integer, played double precision, furthest double precision, quality text, ends boolean, fastest double precision, slack double precision, complete double precision) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    now CONSTANT timestamptz := STATEMENT_TIMESTAMP();
    session record;
    video_duration float;
    seconds float;
    tally float;
BEGIN
    SELECT id, video_id, last_report, reported_at, started_at, duration_watched, quality_seconds, quality_used
        INTO session FROM playback_sessions WHERE session_token = token FOR UPDATE;
    IF NOT FOUND THEN RETURN 'unknown session'; END IF;
    IF session.last_report >= number THEN RETURN 'late'; END IF;
    SELECT duration INTO video_duration FROM videos WHERE id = session.video_id;
    IF furthest > video_duration + slack THEN RETURN 'beyond the end'; END IF;
    IF quality IS NOT NULL AND NOT EXISTS (
        SELECT FROM video_qualities q WHERE q.video_id = session.video_id AND q.quality = record_playback.quality
    ) THEN RETURN 'unknown quality'; END IF;
    -- No more than can have been played since the last report, and none of it twice.
    seconds := GREATEST(0, LEAST(
        played,
        EXTRACT(EPOCH FROM now - session.reported_at) * fastest + slack,
        EXTRACT(EPOCH FROM now - session.started_at) * fastest + slack - session.duration_watched
    ));
    IF quality IS NOT NULL THEN
        tally := COALESCE((session.quality_seconds ->> quality)::float, 0) + seconds;
        IF session.quality_used IS NULL OR tally > (session.quality_seconds ->> session.quality_used)::float THEN
            session.quality_used := quality;
        END IF;
        session.quality_seconds := session.quality_seconds || jsonb_build_object(quality, tally);
    END IF;
    PERFORM set_config('synchronous_commit', 'off', TRUE);
    UPDATE playback_sessions SET
        last_report = number,
        reported_at = now,
        ended_at = CASE WHEN ends THEN now END,
        duration_watched = duration_watched + seconds,
        max_position = GREATEST(max_position, LEAST(furthest, video_duration)),
        completed = completed OR furthest >= video_duration * complete,
        quality_seconds = session.quality_seconds,
        quality_used = session.quality_used,
        rolled_up = FALSE
        WHERE id = session.id;
    RETURN 'recorded';
END $$;

CREATE FUNCTION public.refresh_search_document(video integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM search_documents WHERE video_id = video FOR UPDATE;
    INSERT INTO search_documents (video_id, document)
        SELECT id, search_document(id, title, description) FROM videos WHERE id = video
        ON CONFLICT (video_id) DO UPDATE SET document = EXCLUDED.document;
END $$;

CREATE FUNCTION public.search_plain(body text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN "left"(translate(regexp_replace(NORMALIZE("left"(body, 50000), NFKD), '[̀-ͯ]+'::text, ''::text, 'g'::text), 'øØłŁđĐ<>/@._\'::text, 'oOlLdD       '::text), 50000);

CREATE FUNCTION public.search_words(body text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('english'::regconfig, public.search_plain(body));

CREATE FUNCTION public.search_part(body text, weight "char") RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN setweight((public.search_words(body) || to_tsvector('simple'::regconfig, public.search_plain(body))), weight);

CREATE TABLE public.tags (
    id integer NOT NULL,
    name character varying(50) NOT NULL,
    slug character varying(50) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.video_tags (
    video_id integer NOT NULL,
    tag_id integer NOT NULL
);

CREATE FUNCTION public.search_document(video integer, title text, description text) RETURNS tsvector
    LANGUAGE sql STABLE
    RETURN ((public.search_part(title, 'A'::"char") || COALESCE((SELECT public.search_part(string_agg((t.name)::text, ' '::text ORDER BY (t.name)::text), 'B'::"char") AS search_part FROM (public.video_tags vt JOIN public.tags t ON ((t.id = vt.tag_id))) WHERE (vt.video_id = search_document.video)), ''::tsvector)) || public.search_part(description, 'C'::"char"));

CREATE FUNCTION public.search_tag_given() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM FROM tags WHERE id = NEW.tag_id FOR SHARE;
        PERFORM refresh_search_document(NEW.video_id);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM refresh_search_document(OLD.video_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.search_tag_renamed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM refresh_search_document(video_id) FROM
        (SELECT video_id FROM video_tags WHERE tag_id = NEW.id ORDER BY video_id) AS tagged;
    RETURN NULL;
END $$;

CREATE FUNCTION public.search_video_written() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM refresh_search_document(NEW.id);
    RETURN NULL;
END $$;

CREATE TABLE public.archive_entries (
    video_id integer NOT NULL,
    slug character varying(255) NOT NULL,
    archived_by character varying(150) DEFAULT ''::character varying NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ck_archive_entries_size CHECK ((size >= 0))
);

CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);

ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group_permissions (
    id integer NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);

ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user (
    id integer NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(150) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);

CREATE TABLE public.auth_user_groups (
    id integer NOT NULL,
    user_id integer NOT NULL,
    group_id integer NOT NULL
);

ALTER TABLE public.auth_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.auth_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user_user_permissions (
    id integer NOT NULL,
    user_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.categories (
    id integer NOT NULL,
    name character varying(100) NOT NULL,
    slug character varying(100) NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.categories ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.categories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.cues (
    id integer NOT NULL,
    start double precision NOT NULL,
    "end" double precision NOT NULL,
    text text NOT NULL,
    video_id integer NOT NULL,
    CONSTRAINT ck_cues_times CHECK ((("end" >= start) AND (start >= (0.0)::double precision)))
);

ALTER TABLE public.cues ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.cues_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.daily_views (
    video_id integer NOT NULL,
    day date NOT NULL,
    views integer DEFAULT 0 NOT NULL,
    unique_viewers integer DEFAULT 0 NOT NULL,
    watch_seconds double precision DEFAULT 0.0 NOT NULL,
    completions integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_daily_views_counts CHECK (((completions >= 0) AND (unique_viewers >= 0) AND (views >= 0) AND (watch_seconds >= (0.0)::double precision)))
);

CREATE TABLE public.django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id integer NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);

ALTER TABLE public.django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);

ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_migrations (
    id integer NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);

ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);

CREATE TABLE public.playback_sessions (
    id integer NOT NULL,
    video_id integer NOT NULL,
    viewer_id integer,
    session_token character varying(64) NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    duration_watched double precision DEFAULT 0.0 NOT NULL,
    max_position double precision DEFAULT 0.0 NOT NULL,
    quality_used character varying(10),
    completed boolean DEFAULT false NOT NULL,
    last_report integer DEFAULT 0 NOT NULL,
    quality_seconds jsonb DEFAULT '{}'::jsonb NOT NULL,
    reported_at timestamp with time zone DEFAULT now() NOT NULL,
    rolled_up boolean DEFAULT false NOT NULL,
    CONSTRAINT ck_playback_sessions_last_report CHECK ((last_report >= 0)),
    CONSTRAINT ck_playback_sessions_seconds CHECK (((duration_watched >= (0.0)::double precision) AND (max_position >= (0.0)::double precision)))
)
WITH (fillfactor='70');

ALTER TABLE public.playback_sessions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.playback_sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.quality_progress (
    id integer NOT NULL,
    job_id integer NOT NULL,
    quality character varying(10) NOT NULL,
    status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    segments_total integer,
    segments_completed integer DEFAULT 0 NOT NULL,
    progress_percent integer DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    error_message text,
    CONSTRAINT ck_quality_progress_progress CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    CONSTRAINT ck_quality_progress_segments CHECK (((segments_completed >= 0) AND (segments_total >= 0))),
    CONSTRAINT ck_quality_progress_status CHECK ((status IN ('pending', 'in_progress', 'completed', 'failed', 'skipped')))
);

ALTER TABLE public.quality_progress ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.quality_progress_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.search_documents (
    video_id integer NOT NULL,
    document tsvector NOT NULL
);

CREATE TABLE public.storage_entries (
    video_id integer NOT NULL,
    source bigint DEFAULT 0 NOT NULL,
    renditions bigint DEFAULT 0 NOT NULL,
    extras bigint DEFAULT 0 NOT NULL,
    temporary bigint DEFAULT 0 NOT NULL,
    folders jsonb DEFAULT '{}'::jsonb NOT NULL,
    measured_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_storage_entries_bytes CHECK (((extras >= 0) AND (renditions >= 0) AND (source >= 0) AND (temporary >= 0)))
);

ALTER TABLE public.tags ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tags_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.transcoding_attempts (
    id integer NOT NULL,
    kind character varying(20) NOT NULL,
    tier integer DEFAULT 0 NOT NULL,
    first_segment integer DEFAULT 0 NOT NULL,
    last_segment integer DEFAULT 0 NOT NULL,
    number integer NOT NULL,
    worker_name character varying(100) DEFAULT ''::character varying NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome character varying(20) DEFAULT 'running'::character varying NOT NULL,
    seconds double precision DEFAULT 0.0 NOT NULL,
    error text,
    log_tail text DEFAULT ''::text NOT NULL,
    chunk_id integer,
    job_id integer NOT NULL,
    worker_id character varying(36),
    CONSTRAINT ck_transcoding_attempts_counts CHECK (((number >= 1) AND (seconds >= (0.0)::double precision) AND (tier >= 0))),
    CONSTRAINT ck_transcoding_attempts_end CHECK ((((ended_at IS NULL) AND ((outcome)::text = 'running'::text)) OR ((NOT ((outcome)::text = 'running'::text)) AND (ended_at IS NOT NULL)))),
    CONSTRAINT ck_transcoding_attempts_outcome CHECK ((outcome IN ('running', 'completed', 'failed', 'lost', 'given_back', 'cancelled'))),
    CONSTRAINT ck_transcoding_attempts_segments CHECK (((first_segment >= 0) AND (last_segment >= first_segment)))
);

ALTER TABLE public.transcoding_attempts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.transcoding_attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.transcoding_chunks (
    id integer NOT NULL,
    job_id integer NOT NULL,
    kind character varying(20) DEFAULT 'video'::character varying NOT NULL,
    tier integer DEFAULT 0 NOT NULL,
    index integer DEFAULT 0 NOT NULL,
    first_segment integer DEFAULT 0 NOT NULL,
    last_segment integer DEFAULT 0 NOT NULL,
    status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    worker_id character varying(36),
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    delivered boolean DEFAULT false NOT NULL,
    lease_expires_at timestamp with time zone,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    error text,
    priority smallint DEFAULT 1 NOT NULL,
    CONSTRAINT ck_transcoding_chunks_counts CHECK (((attempt >= 0) AND (failures >= 0) AND (index >= 0) AND (tier >= 0))),
    CONSTRAINT ck_transcoding_chunks_kind CHECK ((kind IN ('video', 'audio', 'storyboard', 'transcription'))),
    CONSTRAINT ck_transcoding_chunks_priority CHECK ((priority = ANY (ARRAY[0, 1, 2, 3]))),
    CONSTRAINT ck_transcoding_chunks_segments CHECK (((first_segment >= 0) AND (last_segment >= first_segment))),
    CONSTRAINT ck_transcoding_chunks_status CHECK ((status IN ('pending', 'running', 'completed', 'failed', 'cancelled')))
);

ALTER TABLE public.transcoding_chunks ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.transcoding_chunks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.transcoding_jobs (
    id integer NOT NULL,
    video_id integer NOT NULL,
    worker_id character varying(36),
    current_step character varying(50),
    progress_percent integer DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    last_checkpoint timestamp with time zone,
    completed_at timestamp with time zone,
    claimed_at timestamp with time zone,
    claim_expires_at timestamp with time zone,
    attempt_number integer DEFAULT 1 NOT NULL,
    max_attempts integer DEFAULT 3 NOT NULL,
    last_error text,
    processed_by_worker_id character varying(36),
    processed_by_worker_name character varying(100),
    plan jsonb,
    reserved_bytes bigint,
    CONSTRAINT ck_transcoding_jobs_attempts CHECK (((attempt_number >= 1) AND (max_attempts >= 1))),
    CONSTRAINT ck_transcoding_jobs_progress CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    CONSTRAINT ck_transcoding_jobs_reserved CHECK ((reserved_bytes >= 0)),
    CONSTRAINT ck_transcoding_jobs_step CHECK ((current_step IN ('probe', 'thumbnail', 'transcode', 'master_playlist', 'finalize')))
);

ALTER TABLE public.transcoding_jobs ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.transcoding_jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.transcriptions (
    id integer NOT NULL,
    video_id integer NOT NULL,
    status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    language character varying(10) DEFAULT 'en'::character varying NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_seconds double precision,
    transcript_text text,
    vtt_path character varying(255),
    word_count integer,
    error_message text,
    given_language character varying(10) DEFAULT ''::character varying NOT NULL,
    progress_percent integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_transcriptions_duration CHECK ((duration_seconds >= (0.0)::double precision)),
    CONSTRAINT ck_transcriptions_progress CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    CONSTRAINT ck_transcriptions_status CHECK ((status IN ('pending', 'processing', 'completed', 'failed'))),
    CONSTRAINT ck_transcriptions_words CHECK ((word_count >= 0))
);

ALTER TABLE public.transcriptions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.transcriptions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.video_qualities (
    id integer NOT NULL,
    video_id integer NOT NULL,
    quality character varying(10) NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    bitrate integer NOT NULL,
    CONSTRAINT ck_video_qualities_sizes CHECK (((bitrate >= 0) AND (height >= 0) AND (width >= 0)))
);

ALTER TABLE public.video_qualities ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.video_qualities_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.videos (
    id integer NOT NULL,
    title character varying(255) NOT NULL,
    slug character varying(255) NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    category_id integer,
    duration double precision DEFAULT 0.0 NOT NULL,
    source_width integer DEFAULT 0 NOT NULL,
    source_height integer DEFAULT 0 NOT NULL,
    status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    published_at timestamp with time zone,
    deleted_at timestamp with time zone,
    media_key character varying(32) DEFAULT replace(((gen_random_uuid())::character varying)::text, '-'::text, ''::text) NOT NULL,
    source_name character varying(255) DEFAULT ''::character varying NOT NULL,
    view_count integer DEFAULT 0 NOT NULL,
    publish_early boolean DEFAULT false NOT NULL,
    watchable boolean GENERATED ALWAYS AS ((((status)::text = 'ready'::text) OR (publish_early AND ((status)::text = 'processing'::text)))) STORED,
    poster_version integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_videos_duration CHECK ((duration >= (0.0)::double precision)),
    CONSTRAINT ck_videos_media_key CHECK (((media_key)::text ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT ck_videos_poster_version CHECK ((poster_version >= 0)),
    CONSTRAINT ck_videos_source_size CHECK (((source_height >= 0) AND (source_width >= 0))),
    CONSTRAINT ck_videos_status CHECK ((status IN ('pending', 'processing', 'ready', 'failed')))
);

ALTER TABLE public.videos ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.videos_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.viewers (
    id integer NOT NULL,
    session_id character varying(64) NOT NULL,
    first_seen timestamp with time zone DEFAULT now() NOT NULL,
    last_seen timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.viewers ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.viewers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.worker_api_keys (
    id integer NOT NULL,
    worker_id integer NOT NULL,
    key_hash character varying(64) NOT NULL,
    key_prefix character varying(8) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone
);

ALTER TABLE public.worker_api_keys ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.worker_api_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.workers (
    id integer NOT NULL,
    worker_id character varying(36) NOT NULL,
    worker_name character varying(100),
    worker_type character varying(20) DEFAULT 'remote'::character varying NOT NULL,
    status character varying(20) DEFAULT 'active'::character varying NOT NULL,
    registered_at timestamp with time zone NOT NULL,
    last_heartbeat timestamp with time zone,
    capabilities jsonb,
    metadata jsonb,
    current_job_id integer,
    held_back text,
    CONSTRAINT ck_workers_status CHECK ((status IN ('active', 'offline', 'disabled'))),
    CONSTRAINT ck_workers_worker_type CHECK ((worker_type IN ('local', 'remote')))
);

ALTER TABLE public.workers ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

