<?php
/**
 * Plugin Name:       Slots
 * Description:       Places for advertising that https://serve.example fills: a shortcode, a block, and places in the theme.
 * Version:           0.1.0
 * Requires at least: 5.8
 * Requires PHP:      7.4
 * License:           Apache-2.0
 *
 * Made by `adserve embed --site news --for wordpress`. Make it again when the sizes of a slot change.
 *
 * [slot name="top"] puts a slot into a post or widget; the block is called "Slot". Settings > Slots puts one at the head and the
 * end of every page and around the words of every post; nothing is put anywhere before that is chosen. PHP calls nobody: the
 * reader's browser asks for what is shown. Nothing is stored but the option `slots_places`.
 *
 * In wp-config.php: SLOTS_URL and SLOTS_SITE, and SLOTS_PLACES, an array that settles the places.
 * Filters: slots_config (array), slots_labels (array of names, post id), slots_markup (HTML, slot), slots_places (array).
 */

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

if ( ! class_exists( 'Slots_Plugin' ) ) {

	final class Slots_Plugin {
		const OPTION = 'slots_places';

		/** Where a slot can be put by itself. */
		const PLACES = array( 'header', 'above_content', 'below_content', 'footer' );

		public static function start() {
			add_action( 'init', array( __CLASS__, 'register' ) );
			add_action( 'wp_head', array( __CLASS__, 'head' ) );
			add_action( 'wp_body_open', array( __CLASS__, 'header' ) );
			add_action( 'wp_footer', array( __CLASS__, 'footer' ), 5 );
			add_filter( 'the_content', array( __CLASS__, 'content' ), 20 );
			add_action( 'admin_init', array( __CLASS__, 'settings' ) );
			add_action( 'admin_menu', array( __CLASS__, 'menu' ) );
		}

		/** The address of the service, the site, and the slots: sizes for the tag, the frame's box, and what readers are told. */
		public static function config() {
			$config = array(
				'url'   => defined( 'SLOTS_URL' ) ? SLOTS_URL : 'https://serve.example',
				'site'  => defined( 'SLOTS_SITE' ) ? SLOTS_SITE : 'news',
				'slots' => array(
					'header' => array( 'size' => '970x90@970 728x90@728 320x50', 'width' => 970, 'height' => 108, 'title' => 'Advertisement' ),
					'top' => array( 'size' => '728x90@728 320x50', 'width' => 728, 'height' => 108, 'title' => 'Advertisement' ),
					'below-post' => array( 'size' => '728x90@728 300x250', 'width' => 728, 'height' => 268, 'title' => 'Advertisement' ),
					'sidebar' => array( 'size' => '300x600', 'width' => 300, 'height' => 618, 'title' => 'Advertisement' ),
					'footer' => array( 'size' => '728x90@728 320x50', 'width' => 728, 'height' => 108, 'title' => 'Advertisement' ),
				),
			);
			return (array) apply_filters( 'slots_config', $config );
		}

		/** PHP makes numbers of keys that look like some. */
		private static function names() {
			return array_map( 'strval', array_keys( self::config()['slots'] ) );
		}

		public static function register() {
			add_shortcode( 'slot', array( __CLASS__, 'shortcode' ) );
			$names = self::names();
			wp_register_script( 'slots-block', false, array( 'wp-blocks', 'wp-element', 'wp-components', 'wp-block-editor' ), '0.1.0', true );
			wp_add_inline_script( 'slots-block', '(' . self::BLOCK . ')(' . wp_json_encode( $names, JSON_HEX_TAG | JSON_HEX_AMP ) . ');' );
			register_block_type(
				'slots/slot',
				array(
					'api_version'     => 2,
					'title'           => 'Slot',
					'category'        => 'widgets',
					'icon'            => 'megaphone',
					'attributes'      => array( 'name' => array( 'type' => 'string', 'default' => '' ) ),
					'supports'        => array( 'html' => false ),
					'editor_script'   => 'slots-block',
					'render_callback' => array( __CLASS__, 'shortcode' ),
				)
			);
		}

		/** The block in the editor: a choice of slots. The page itself is written by PHP. */
		const BLOCK = <<<'JS'
function (names) {
	var el = wp.element.createElement, editor = wp.blockEditor, parts = wp.components;
	wp.blocks.registerBlockType('slots/slot', {
		edit: function (props) {
			var options = [{ label: '', value: '' }].concat(names.map(function (name) { return { label: name, value: name }; }));
			return el('div', editor.useBlockProps(), el(parts.Placeholder, { icon: 'megaphone', label: 'Slot' },
				el(parts.SelectControl, { value: props.attributes.name, options: options,
					onChange: function (name) { props.setAttributes({ name: name }); } })));
		},
		save: function () { return null; }
	});
}
JS;

		public static function shortcode( $attributes = array() ) {
			$attributes = shortcode_atts( array( 'name' => '' ), (array) $attributes, 'slot' );
			return self::markup( (string) $attributes['name'], (int) get_the_ID() );
		}

		/** One slot's element, with a frame for readers without scripts; nothing for a slot that is not known, and in feeds. */
		public static function markup( $name, $post_id = 0 ) {
			$config = self::config();
			if ( is_feed() || ! isset( $config['slots'][ $name ] ) ) {
				return '';
			}
			$slot   = $config['slots'][ $name ];
			$labels = self::labels( $post_id );
			$frame  = rtrim( $config['url'], '/' ) . '/v1/frames/' . rawurlencode( $config['site'] ) . '/' . rawurlencode( $name );
			$box    = $slot['width'] ? ' width="' . (int) $slot['width'] . '" height="' . (int) $slot['height'] . '"' : '';
			$html   = '<div data-slot="' . esc_attr( $name ) . '"'
				. ( '' !== $slot['size'] ? ' data-size="' . esc_attr( $slot['size'] ) . '"' : '' )
				. ( '' !== $labels ? ' data-labels="' . esc_attr( $labels ) . '"' : '' )
				. '><noscript><iframe src="' . esc_url( $frame ) . '"' . $box . ' title="' . esc_attr( $slot['title'] )
				. '" loading="lazy" style="border:0;max-width:100%"></iframe></noscript></div>';
			return (string) apply_filters( 'slots_markup', $html, $name );
		}

		/** The names of a post's categories and tags, with commas between. */
		public static function labels( $post_id ) {
			$names = array();
			foreach ( $post_id ? array( 'category', 'post_tag' ) : array() as $taxonomy ) {
				$terms = get_the_terms( $post_id, $taxonomy );
				foreach ( is_array( $terms ) ? $terms : array() as $term ) {
					$names[] = html_entity_decode( $term->name, ENT_QUOTES, 'UTF-8' );
				}
			}
			$names = (array) apply_filters( 'slots_labels', $names, $post_id );
			$plain = array();
			foreach ( $names as $name ) {
				$plain[] = trim( str_replace( ',', ' ', (string) $name ) );
			}
			return implode( ',', array_filter( $plain, 'strlen' ) );
		}

		/** The room that slots take, and the one line of script, with the labels of the post that the page is. */
		public static function head() {
			$config = self::config();
			$labels = self::labels( is_singular() ? (int) get_queried_object_id() : 0 );
			echo '<style>' . self::RULES . "</style>\n"; // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- a constant
			echo '<script async="async" src="' . esc_url( rtrim( $config['url'], '/' ) . '/slots.js' ) . '" data-site="' . esc_attr( $config['site'] ) . '"'
				. ( '' !== $labels ? ' data-labels="' . esc_attr( $labels ) . '"' : '' ) . "></script>\n";
		}

		const RULES = '
[data-slot="header"]{min-height:68px}
@media (min-width:728px){[data-slot="header"]{min-height:108px}}
[data-slot="top"]{min-height:68px}
@media (min-width:728px){[data-slot="top"]{min-height:108px}}
[data-slot="below-post"]{min-height:268px}
[data-slot="sidebar"]{min-height:618px}
[data-slot="footer"]{min-height:68px}
@media (min-width:728px){[data-slot="footer"]{min-height:108px}}';

		/** Which slot stands where by itself: place to slot; empty when nobody chose. */
		public static function places() {
			$chosen = defined( 'SLOTS_PLACES' ) ? SLOTS_PLACES : get_option( self::OPTION, array() );
			return self::sanitize( apply_filters( 'slots_places', $chosen ) );
		}

		public static function sanitize( $chosen ) {
			$chosen = is_array( $chosen ) ? $chosen : array();
			$names  = self::names();
			$kept   = array();
			foreach ( self::PLACES as $place ) {
				if ( isset( $chosen[ $place ] ) && in_array( $chosen[ $place ], $names, true ) ) {
					$kept[ $place ] = $chosen[ $place ];
				}
			}
			return $kept;
		}

		private static function placed( $place, $post_id = 0 ) {
			$places = self::places();
			return isset( $places[ $place ] ) ? self::markup( $places[ $place ], $post_id ) : '';
		}

		public static function header() {
			echo self::placed( 'header' ); // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- escaped in markup()
		}

		public static function footer() {
			echo self::placed( 'footer' ); // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- escaped in markup()
		}

		/** Around the words of a post on its own page, and nowhere else that a theme asks for them. */
		public static function content( $content ) {
			if ( ! is_singular( 'post' ) || ! in_the_loop() || ! is_main_query() || is_feed() ) {
				return $content;
			}
			$post_id = (int) get_the_ID();
			return self::placed( 'above_content', $post_id ) . $content . self::placed( 'below_content', $post_id );
		}

		public static function settings() {
			register_setting( 'slots', self::OPTION, array( 'type' => 'array', 'default' => array(), 'sanitize_callback' => array( __CLASS__, 'sanitize' ) ) );
		}

		public static function menu() {
			add_options_page( 'Slots', 'Slots', 'manage_options', 'slots', array( __CLASS__, 'page' ) );
		}

		public static function page() {
			$chosen = self::places();
			$titles = array( 'header' => 'Head of every page', 'above_content' => 'Above a post', 'below_content' => 'Below a post', 'footer' => 'End of every page' );
			echo '<div class="wrap"><h1>Slots</h1><form method="post" action="options.php">';
			settings_fields( 'slots' );
			foreach ( $titles as $place => $title ) {
				echo '<p><label>' . esc_html( $title ) . ' <select name="' . esc_attr( self::OPTION . '[' . $place . ']' ) . '"><option value="">(none)</option>';
				foreach ( self::names() as $name ) {
					$on = isset( $chosen[ $place ] ) && $chosen[ $place ] === $name ? ' selected' : '';
					echo '<option value="' . esc_attr( $name ) . '"' . esc_attr( $on ) . '>' . esc_html( $name ) . '</option>';
				}
				echo '</select></label></p>';
			}
			submit_button();
			echo '</form></div>';
		}
	}

	Slots_Plugin::start();
}
