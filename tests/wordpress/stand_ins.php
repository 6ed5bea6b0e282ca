<?php
/**
 * Small stand-ins for what the plugin calls of WordPress, as its handbook describes them. The state is what a test said: JSON on
 * stdin, with `do`, a list of calls; what they printed or returned comes back as JSON.
 */
define( 'ABSPATH', __DIR__ );
error_reporting( E_ALL );
set_error_handler( function ( $level, $text, $file, $line ) { throw new ErrorException( $text, 0, $level, $file, $line ); } );

$state = json_decode( stream_get_contents( STDIN ), true );
$hooks = array();
$made  = array( 'shortcodes' => array(), 'blocks' => array(), 'scripts' => array(), 'inline' => array(), 'settings' => array(), 'pages' => array() );
foreach ( $state['constants'] ?? array() as $name => $value ) {
	define( $name, $value );
}

function add_filter( $hook, $call, $priority = 10, $count = 1 ) { global $hooks; $hooks[ $hook ][ $priority ][] = $call; }
function add_action( $hook, $call, $priority = 10, $count = 1 ) { add_filter( $hook, $call, $priority, $count ); }
function apply_filters( $hook, $value, ...$more ) {
	global $hooks;
	$calls = $hooks[ $hook ] ?? array();
	ksort( $calls );
	foreach ( $calls as $same ) {
		foreach ( $same as $call ) {
			$value = $call( $value, ...$more );
		}
	}
	return $value;
}
function do_action( $hook ) {
	global $hooks;
	$calls = $hooks[ $hook ] ?? array();
	ksort( $calls );
	foreach ( $calls as $same ) {
		foreach ( $same as $call ) {
			call_user_func( $call );
		}
	}
}
function add_shortcode( $tag, $call ) { global $made; $made['shortcodes'][ $tag ] = $call; }
function shortcode_atts( $defaults, $given, $tag = '' ) { return array_merge( $defaults, array_intersect_key( $given, $defaults ) ); }
function register_block_type( $name, $about ) { global $made; $made['blocks'][ $name ] = $about; }
function wp_register_script( $handle, $src, $after, $version, $in_footer ) { global $made; $made['scripts'][ $handle ] = $after; return true; }
function wp_add_inline_script( $handle, $code ) { global $made; $made['inline'][ $handle ] = $code; return true; }
function wp_json_encode( $value, $flags = 0 ) { return json_encode( $value, $flags ); }
function register_setting( $group, $name, $about ) { global $made; $made['settings'][ $name ] = $about; }
function add_options_page( $title, $menu, $may, $slug, $call ) { global $made; $made['pages'][ $slug ] = array( $may, $call ); }
function settings_fields( $group ) { echo '<input type="hidden" name="option_page" value="' . esc_attr( $group ) . '">'; }
function submit_button() { echo '<button>Save</button>'; }
function get_option( $name, $default = false ) { global $state; return $state['options'][ $name ] ?? $default; }
function get_the_ID() { global $state; return $state['post'] ?? false; }
function get_queried_object_id() { global $state; return $state['post'] ?? 0; }
function get_the_terms( $post, $taxonomy ) {
	global $state;
	$names = $state['terms'][ $taxonomy ] ?? array();
	return $names ? array_map( function ( $name ) { return (object) array( 'name' => htmlspecialchars( $name, ENT_NOQUOTES ) ); }, $names ) : false;
}
function is_singular( $type = '' ) { global $state; return ( $state['page'] ?? '' ) === 'post' || ( '' === $type && ( $state['page'] ?? '' ) === 'static' ); }
function in_the_loop() { global $state; return $state['loop'] ?? true; }
function is_main_query() { return true; }
function is_feed() { global $state; return ( $state['page'] ?? '' ) === 'feed'; }
function esc_attr( $text ) { return htmlspecialchars( (string) $text, ENT_QUOTES, 'UTF-8', false ); }
function esc_html( $text ) { return esc_attr( $text ); }
function esc_url( $url ) { return preg_match( '#^https?://#', $url ) ? esc_attr( preg_replace( '#[^a-z0-9~+_.?\#=!&;,/:%@$|*\'()\[\]\x80-\xff-]#i', '', $url ) ) : ''; }

foreach ( $state['filters'] ?? array() as $hook => $value ) {
	add_filter( $hook, function () use ( $value ) { return $value; } );
}
require $argv[1];
if ( ! empty( $state['twice'] ) ) {
	copy( $argv[1], $argv[1] . '.copy.php' );
	require $argv[1] . '.copy.php';
}
do_action( 'init' );
$told = array();
foreach ( $state['do'] ?? array() as list( $what, $value ) ) {
	ob_start();
	$returned = null;
	if ( 'action' === $what ) {
		do_action( $value );
	} elseif ( 'shortcode' === $what ) {
		$returned = call_user_func( $made['shortcodes']['slot'], $value );
	} elseif ( 'block' === $what ) {
		$returned = call_user_func( $made['blocks']['slots/slot']['render_callback'], $value );
	} elseif ( 'content' === $what ) {
		$returned = apply_filters( 'the_content', $value );
	} elseif ( 'sanitize' === $what ) {
		do_action( 'admin_init' );
		$returned = call_user_func( $made['settings']['slots_places']['sanitize_callback'], $value );
	} elseif ( 'page' === $what ) {
		do_action( 'admin_menu' );
		call_user_func( $made['pages']['slots'][1] );
	} elseif ( 'made' === $what ) {
		$returned = array( 'after' => $made['scripts'], 'inline' => $made['inline'], 'block' => array_diff_key( $made['blocks']['slots/slot'], array( 'render_callback' => 1 ) ) );
	}
	$printed = ob_get_clean();
	$told[]  = null === $returned ? $printed : $returned;
}
echo json_encode( $told );
