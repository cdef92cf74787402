-- The tables of the original VLog as its first start makes them.
CREATE TABLE admin_sessions (
    id integer NOT NULL,
    session_token character varying(128) NOT NULL,
    created_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    ip_address character varying(45),
    user_agent character varying(512),
    PRIMARY KEY (id)
);
CREATE TABLE categories (
    id integer NOT NULL,
    name character varying(100) NOT NULL,
    slug character varying(100) NOT NULL,
    description text,
    created_at timestamp with time zone,
    PRIMARY KEY (id)
);
CREATE TABLE chapters (
    id integer NOT NULL,
    video_id integer NOT NULL,
    title character varying(255) NOT NULL,
    description text,
    start_time double precision NOT NULL,
    end_time double precision,
    "position" integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    CONSTRAINT ck_chapters_end_time_valid CHECK (((end_time IS NULL) OR (end_time > start_time))),
    CONSTRAINT ck_chapters_start_time_positive CHECK ((start_time >= (0)::double precision)),
    PRIMARY KEY (id)
);
CREATE TABLE custom_field_definitions (
    id integer NOT NULL,
    name character varying(100) NOT NULL,
    slug character varying(100) NOT NULL,
    field_type character varying(20) NOT NULL,
    options text,
    required boolean NOT NULL,
    category_id integer,
    "position" integer NOT NULL,
    constraints text,
    description text,
    created_at timestamp with time zone,
    CONSTRAINT ck_custom_field_definitions_field_type CHECK (((field_type)::text = ANY ((ARRAY['text'::character varying, 'number'::character varying, 'date'::character varying, 'select'::character varying, 'multi_select'::character varying, 'url'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE deployment_events (
    id integer NOT NULL,
    worker_id character varying(36) NOT NULL,
    worker_name character varying(100),
    event_type character varying(20) NOT NULL,
    old_version character varying(64),
    new_version character varying(64),
    status character varying(20),
    triggered_by character varying(100),
    details text,
    created_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    CONSTRAINT ck_deployment_events_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'in_progress'::character varying, 'completed'::character varying, 'failed'::character varying])::text[]))),
    CONSTRAINT ck_deployment_events_type CHECK (((event_type)::text = ANY ((ARRAY['restart'::character varying, 'stop'::character varying, 'update'::character varying, 'deploy'::character varying, 'rollback'::character varying, 'version_change'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE playback_sessions (
    id integer NOT NULL,
    video_id integer NOT NULL,
    viewer_id integer,
    session_token character varying(64) NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    duration_watched double precision,
    max_position double precision,
    quality_used character varying(10),
    completed boolean,
    CONSTRAINT ck_playback_sessions_quality_used CHECK ((((quality_used)::text = ANY ((ARRAY['2160p'::character varying, '1440p'::character varying, '1080p'::character varying, '720p'::character varying, '480p'::character varying, '360p'::character varying, 'original'::character varying])::text[])) OR (quality_used IS NULL))),
    PRIMARY KEY (id)
);
CREATE TABLE playlist_items (
    id integer NOT NULL,
    playlist_id integer NOT NULL,
    video_id integer NOT NULL,
    "position" integer NOT NULL,
    added_at timestamp with time zone,
    PRIMARY KEY (id)
);
CREATE TABLE playlists (
    id integer NOT NULL,
    title character varying(255) NOT NULL,
    slug character varying(255) NOT NULL,
    description text,
    thumbnail_path character varying(500),
    visibility character varying(20),
    playlist_type character varying(20),
    is_featured boolean,
    user_id character varying(100),
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone,
    CONSTRAINT ck_playlists_type CHECK (((playlist_type)::text = ANY ((ARRAY['playlist'::character varying, 'collection'::character varying, 'series'::character varying, 'course'::character varying])::text[]))),
    CONSTRAINT ck_playlists_visibility CHECK (((visibility)::text = ANY ((ARRAY['public'::character varying, 'private'::character varying, 'unlisted'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE quality_progress (
    id integer NOT NULL,
    job_id integer NOT NULL,
    quality character varying(10) NOT NULL,
    status character varying(20) NOT NULL,
    segments_total integer,
    segments_completed integer,
    progress_percent integer,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    error_message text,
    CONSTRAINT ck_quality_progress_percent_range CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    CONSTRAINT ck_quality_progress_quality CHECK (((quality)::text = ANY ((ARRAY['2160p'::character varying, '1440p'::character varying, '1080p'::character varying, '720p'::character varying, '480p'::character varying, '360p'::character varying, 'original'::character varying])::text[]))),
    CONSTRAINT ck_quality_progress_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'in_progress'::character varying, 'uploading'::character varying, 'completed'::character varying, 'failed'::character varying, 'skipped'::character varying, 'uploaded'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE reencode_queue (
    id integer NOT NULL,
    video_id integer NOT NULL,
    target_format character varying(20),
    target_codec character varying(10),
    priority character varying(10),
    status character varying(20),
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    error_message text,
    retry_count integer,
    processed_by_worker_id integer,
    CONSTRAINT ck_reencode_queue_priority CHECK (((priority)::text = ANY ((ARRAY['high'::character varying, 'normal'::character varying, 'low'::character varying])::text[]))),
    CONSTRAINT ck_reencode_queue_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'in_progress'::character varying, 'completed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[]))),
    CONSTRAINT ck_reencode_queue_target_codec CHECK (((target_codec)::text = ANY ((ARRAY['h264'::character varying, 'hevc'::character varying, 'av1'::character varying])::text[]))),
    CONSTRAINT ck_reencode_queue_target_format CHECK (((target_format)::text = ANY ((ARRAY['hls_ts'::character varying, 'cmaf'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE settings (
    id integer NOT NULL,
    key character varying(255) NOT NULL,
    value text NOT NULL,
    category character varying(100) NOT NULL,
    description text,
    value_type character varying(50),
    constraints text,
    updated_at timestamp with time zone,
    updated_by character varying(255),
    CONSTRAINT ck_settings_value_type CHECK (((value_type)::text = ANY ((ARRAY['string'::character varying, 'integer'::character varying, 'float'::character varying, 'boolean'::character varying, 'enum'::character varying, 'json'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE sprite_queue (
    id integer NOT NULL,
    video_id integer NOT NULL,
    priority character varying(10),
    status character varying(20),
    error_message text,
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    processed_by_worker_id integer,
    CONSTRAINT ck_sprite_queue_priority CHECK (((priority)::text = ANY ((ARRAY['high'::character varying, 'normal'::character varying, 'low'::character varying])::text[]))),
    CONSTRAINT ck_sprite_queue_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'completed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE tags (
    id integer NOT NULL,
    name character varying(50) NOT NULL,
    slug character varying(50) NOT NULL,
    created_at timestamp with time zone,
    PRIMARY KEY (id)
);
CREATE TABLE transcoding_jobs (
    id integer NOT NULL,
    video_id integer NOT NULL,
    worker_id character varying(36),
    current_step character varying(50),
    progress_percent integer,
    started_at timestamp with time zone,
    last_checkpoint timestamp with time zone,
    completed_at timestamp with time zone,
    claimed_at timestamp with time zone,
    claim_expires_at timestamp with time zone,
    attempt_number integer,
    max_attempts integer,
    last_error text,
    processed_by_worker_id character varying(36),
    processed_by_worker_name character varying(100),
    retranscode_metadata text,
    CONSTRAINT ck_transcoding_jobs_progress_percent_range CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    PRIMARY KEY (id)
);
CREATE TABLE transcriptions (
    id integer NOT NULL,
    video_id integer NOT NULL,
    status character varying(20) NOT NULL,
    language character varying(10),
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_seconds double precision,
    transcript_text text,
    vtt_path character varying(255),
    word_count integer,
    error_message text,
    CONSTRAINT ck_transcriptions_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'completed'::character varying, 'failed'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE video_custom_fields (
    video_id integer NOT NULL,
    field_id integer NOT NULL,
    value text
);
CREATE TABLE video_qualities (
    id integer NOT NULL,
    video_id integer,
    quality character varying(10),
    width integer,
    height integer,
    bitrate integer,
    CONSTRAINT ck_video_qualities_quality CHECK (((quality)::text = ANY ((ARRAY['2160p'::character varying, '1440p'::character varying, '1080p'::character varying, '720p'::character varying, '480p'::character varying, '360p'::character varying, 'original'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE video_tags (
    video_id integer NOT NULL,
    tag_id integer NOT NULL
);
CREATE TABLE videos (
    id integer NOT NULL,
    title character varying(255) NOT NULL,
    slug character varying(255) NOT NULL,
    description text,
    category_id integer,
    duration double precision,
    source_width integer,
    source_height integer,
    status character varying(20),
    error_message text,
    created_at timestamp with time zone,
    published_at timestamp with time zone,
    deleted_at timestamp with time zone,
    thumbnail_source character varying(20),
    thumbnail_timestamp double precision,
    streaming_format character varying(10),
    primary_codec character varying(10),
    is_featured boolean,
    featured_at timestamp with time zone,
    has_chapters boolean,
    sprite_sheet_status character varying(20),
    sprite_sheet_error text,
    sprite_sheet_count integer,
    sprite_sheet_interval integer,
    sprite_sheet_tile_size integer,
    sprite_sheet_frame_width integer,
    sprite_sheet_frame_height integer,
    CONSTRAINT ck_videos_primary_codec CHECK (((primary_codec)::text = ANY ((ARRAY['h264'::character varying, 'hevc'::character varying, 'av1'::character varying])::text[]))),
    CONSTRAINT ck_videos_sprite_sheet_status CHECK (((sprite_sheet_status IS NULL) OR ((sprite_sheet_status)::text = ANY ((ARRAY['pending'::character varying, 'generating'::character varying, 'ready'::character varying, 'failed'::character varying])::text[])))),
    CONSTRAINT ck_videos_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'ready'::character varying, 'failed'::character varying])::text[]))),
    CONSTRAINT ck_videos_streaming_format CHECK (((streaming_format)::text = ANY ((ARRAY['hls_ts'::character varying, 'cmaf'::character varying])::text[]))),
    CONSTRAINT ck_videos_thumbnail_source CHECK (((thumbnail_source)::text = ANY ((ARRAY['auto'::character varying, 'selected'::character varying, 'custom'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE viewers (
    id integer NOT NULL,
    session_id character varying(64) NOT NULL,
    first_seen timestamp with time zone,
    last_seen timestamp with time zone,
    PRIMARY KEY (id)
);
CREATE TABLE webhook_deliveries (
    id integer NOT NULL,
    webhook_id integer NOT NULL,
    event_type character varying(50) NOT NULL,
    event_data text NOT NULL,
    request_body text,
    response_status integer,
    response_body text,
    error_message text,
    attempt_number integer,
    status character varying(20),
    created_at timestamp with time zone,
    next_retry_at timestamp with time zone,
    delivered_at timestamp with time zone,
    duration_ms integer,
    CONSTRAINT ck_webhook_deliveries_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'delivered'::character varying, 'failed'::character varying, 'failed_permanent'::character varying])::text[]))),
    PRIMARY KEY (id)
);
CREATE TABLE webhooks (
    id integer NOT NULL,
    name character varying(100) NOT NULL,
    url character varying(500) NOT NULL,
    events text NOT NULL,
    secret character varying(64),
    active boolean,
    headers text,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    last_triggered_at timestamp with time zone,
    total_deliveries integer,
    successful_deliveries integer,
    failed_deliveries integer,
    PRIMARY KEY (id)
);
CREATE TABLE worker_api_keys (
    id integer NOT NULL,
    worker_id integer NOT NULL,
    key_hash character varying(255) NOT NULL,
    hash_version integer DEFAULT 2 NOT NULL,
    key_prefix character varying(8) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    PRIMARY KEY (id)
);
CREATE TABLE workers (
    id integer NOT NULL,
    worker_id character varying(36) NOT NULL,
    worker_name character varying(100),
    worker_type character varying(20),
    registered_at timestamp with time zone NOT NULL,
    last_heartbeat timestamp with time zone,
    status character varying(20),
    current_job_id integer,
    capabilities text,
    metadata text,
    CONSTRAINT ck_workers_status CHECK (((status)::text = ANY ((ARRAY['active'::character varying, 'idle'::character varying, 'busy'::character varying, 'offline'::character varying, 'disabled'::character varying])::text[]))),
    CONSTRAINT ck_workers_worker_type CHECK (((worker_type)::text = ANY ((ARRAY['local'::character varying, 'remote'::character varying])::text[]))),
    PRIMARY KEY (id)
);
ALTER TABLE admin_sessions ADD UNIQUE (session_token);
ALTER TABLE categories ADD UNIQUE (slug);
ALTER TABLE playback_sessions ADD UNIQUE (session_token);
ALTER TABLE playlists ADD UNIQUE (slug);
ALTER TABLE settings ADD UNIQUE (key);
ALTER TABLE tags ADD UNIQUE (name);
ALTER TABLE tags ADD UNIQUE (slug);
ALTER TABLE transcoding_jobs ADD UNIQUE (video_id);
ALTER TABLE transcriptions ADD UNIQUE (video_id);
ALTER TABLE chapters ADD UNIQUE (video_id, "position");
ALTER TABLE custom_field_definitions ADD UNIQUE (slug, category_id);
ALTER TABLE quality_progress ADD UNIQUE (job_id, quality);
ALTER TABLE playlist_items ADD UNIQUE (playlist_id, video_id);
ALTER TABLE videos ADD UNIQUE (slug);
ALTER TABLE viewers ADD UNIQUE (session_id);
ALTER TABLE workers ADD UNIQUE (worker_id);
ALTER TABLE chapters ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE custom_field_definitions ADD FOREIGN KEY (category_id) REFERENCES categories(id) ON DELETE CASCADE;
ALTER TABLE playback_sessions ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE playback_sessions ADD FOREIGN KEY (viewer_id) REFERENCES viewers(id) ON DELETE SET NULL;
ALTER TABLE playlist_items ADD FOREIGN KEY (playlist_id) REFERENCES playlists(id) ON DELETE CASCADE;
ALTER TABLE playlist_items ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE quality_progress ADD FOREIGN KEY (job_id) REFERENCES transcoding_jobs(id) ON DELETE CASCADE;
ALTER TABLE reencode_queue ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE sprite_queue ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE transcoding_jobs ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE transcriptions ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE video_custom_fields ADD FOREIGN KEY (field_id) REFERENCES custom_field_definitions(id) ON DELETE CASCADE;
ALTER TABLE video_custom_fields ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE video_qualities ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE video_tags ADD FOREIGN KEY (tag_id) REFERENCES tags(id) ON DELETE CASCADE;
ALTER TABLE video_tags ADD FOREIGN KEY (video_id) REFERENCES videos(id) ON DELETE CASCADE;
ALTER TABLE videos ADD FOREIGN KEY (category_id) REFERENCES categories(id);
ALTER TABLE webhook_deliveries ADD FOREIGN KEY (webhook_id) REFERENCES webhooks(id) ON DELETE CASCADE;
ALTER TABLE worker_api_keys ADD FOREIGN KEY (worker_id) REFERENCES workers(id) ON DELETE CASCADE;
ALTER TABLE workers ADD FOREIGN KEY (current_job_id) REFERENCES transcoding_jobs(id) ON DELETE SET NULL;
